with changes as (

    select * from {{ source('lake', 'leads_changes') }}

)

select
    {{ staged_lead() }},
    if(_change_type in ('insert', 'update_postimage'), 1, -1) as leads
from changes
where {{ lead_exists() }}
