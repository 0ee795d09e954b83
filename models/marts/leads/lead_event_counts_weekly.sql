with days as (

    select * from {{ ref('lead_event_counts_daily') }}

)

select
    {{ week_start('date') }} as week_start,
    {{ semaine('date') }} as semaine,
    {{- sum_lead_events() }}
from days
group by all
