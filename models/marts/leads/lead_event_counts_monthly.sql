with days as (

    select * from {{ ref('lead_event_counts_daily') }}

)

select
    {{ month_start('date') }} as month_start,
    {{ mois('date') }} as mois,
    {{- sum_lead_events() }}
from days
group by all
