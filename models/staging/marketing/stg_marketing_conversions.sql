with marketing_conversions as (

    select * from {{ source('lake', 'marketing_conversions') }}

),

cleaned as (

    select
        cast(product as varchar) as product,
        cast(campaign_type as varchar) as campaign_type,
        cast(campaign as varchar) as campaign,
        cast(channel as varchar) as channel,
        -- A timestamp's day is that of the session's time zone, which the profile sets.
        cast(date as date) as date,
        case typeof(conversions)
            when 'DOUBLE' then cast(conversions as double)
            -- By way of text, since 0.1 as a FLOAT is 0.10000000149011612 as a DOUBLE.
            else cast(cast(conversions as varchar) as double)
        end as conversions
    from marketing_conversions

)

select
    *,
    hash(product, campaign_type, campaign, channel, date) as key_hash,
    {{ conversions_fault() }} as fault
from cleaned
