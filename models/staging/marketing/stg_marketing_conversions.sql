with marketing_conversions as (

    select * from {{ source('lake', 'marketing_conversions') }}

)

select
    cast(product as varchar) as product,
    cast(campaign_type as varchar) as campaign_type,
    cast(campaign as varchar) as campaign,
    cast(channel as varchar) as channel,
    -- A timestamp's day is that of the session's time zone, which the profile sets.
    cast(date as date) as date,
    cast(conversions as double) as conversions
from marketing_conversions
