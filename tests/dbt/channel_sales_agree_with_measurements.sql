-- Each channel's sales are the same by week and in the measurements.
with measured as (

    select
        channel,
        {{ exact_sum('conversions') }} as sales
    from {{ ref('marketing_conversions') }}
    group by channel

),

weekly as (

    select
        channel,
        {{ exact_sum('sales') }} as sales
    from {{ ref('channel_sales_weekly') }}
    group by channel

)

select
    coalesce(measured.channel, weekly.channel) as channel,
    measured.sales as measured,
    weekly.sales as weekly
from measured
full outer join weekly on measured.channel = weekly.channel
-- A week's sales are rounded to a double once, so the last digits may differ.
where coalesce(abs(measured.sales - weekly.sales) > 1e-9 * abs(measured.sales), true)
