{{ config(access='public', contract={'enforced': true}) }}
select cast(date_trunc('week', day) as date) as week_start, cast(sum({{ var('leads', 'leads') }}) as bigint) as leads
from {{ ref('days') }}
group by all
order by 1 desc
