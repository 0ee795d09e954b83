with leads as (

    select * from {{ source('lake', 'leads') }}

)

select
    {{ staged_lead() }}
from leads
where {{ lead_exists() }}
