{{ config(access='public', contract={'enforced': true}, meta={var('about', 'owner'): 'us'}, **{var('beside', 'tags'): 'open'}) }}
select cast(date_trunc('month', day) as date) as month_start, cast(sum({{ var('leads', 'leads') }}) as bigint) as leads
from {{ ref('days') }}
group by all
