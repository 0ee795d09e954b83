with measured as (

    select * from {{ ref('stg_marketing_conversions') }}

)

select
    product,
    campaign_type,
    campaign,
    channel,
    date,
    {{ week_start('date') }} as week_start,
    -- What was measured once stays as it is, to its last digit.
    case
        when count(conversions) = 1 then max(conversions)
        else {{ exact_sum('conversions') }}
    end as conversions
from measured
group by all
