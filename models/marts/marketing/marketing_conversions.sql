with staged as (

    select * from {{ ref('stg_marketing_conversions') }}

),

measured as (

    select * from staged
    where fault is null

),

repeats as (

    select * from {{ ref('int_marketing_repeats') }}

),

-- Only repeats are grouped: groups of all rows take much memory.
summed as (

    select
        * exclude (key_hash, fault, conversions),
        coalesce(conversions, 0) as conversions
    from measured
    where key_hash not in (select repeats.key_hash from repeats)

    union all

    select
        product,
        campaign_type,
        campaign,
        channel,
        date,
        -- What was measured once stays as it is, to its last digit.
        case
            when count(conversions) = 1 then max(conversions)
            else {{ exact_sum('conversions') }}
        end as conversions
    from measured
    where key_hash in (select repeats.key_hash from repeats)
    group by all

)

select
    product,
    campaign_type,
    campaign,
    channel,
    date,
    {{ week_start('date') }} as week_start,
    conversions
from summed

union all

-- Rows that are all faulty are one mistake of their writer, and would empty a good mart.
select
    error(
        'There are marketing conversions, but not one row of them can be counted: '
        || (select min(staged.fault) from staged)
        || '. Have their writer mend them.'
    ) as product,
    null as campaign_type,
    null as campaign,
    null as channel,
    null as date,
    null as week_start,
    null as conversions
where
    exists (select 1 from staged)
    and not exists (select 1 from measured)
