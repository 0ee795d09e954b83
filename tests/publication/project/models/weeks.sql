{{ config(access='public', contract={'enforced': true}) }}
select cast(date_trunc('week', day) as date) as week_start, cast(sum(leads) as bigint) as leads
from {{ ref('days') }}
group by all
order by 1 desc
