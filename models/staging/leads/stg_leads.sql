with leads as (

    select * from {{ source('lake', 'leads') }}

)

select
    cast(id as varchar) as lead_id,
    -- A timestamp's day is that of the session's time zone, which the profile sets.
    cast(date_prise_contact as date) as date_prise_contact,
    cast(date_reponse_prospect as date) as date_reponse_prospect,
    cast(date_appel_booke as date) as date_appel_booke,
    cast(date_appel_propose as date) as date_appel_propose,
    cast(date_relance as date) as date_relance
from leads
where deleted is not true
