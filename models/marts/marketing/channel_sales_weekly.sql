with conversions as (

    select * from {{ ref('marketing_conversions') }}

)

select
    channel,
    {{ iso_year('date') }} as year,
    {{ iso_week('date') }} as week,
    {{ week_start('date') }} as week_start,
    {{ semaine('date') }} as semaine,
    {{ exact_sum('conversions') }} as sales
from conversions
group by all
