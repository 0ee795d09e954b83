with events as (

    select * from {{ ref('int_lead_events_daily') }}

),

event_types as (

    select * from {{ ref('lead_event_types') }}

)

select
    events.event_type,
    event_types.event_label,
    events.event_date,
    events.implausible as reason,
    events.leads
from events
left join event_types on events.event_type = event_types.event_type
where events.implausible is not null
