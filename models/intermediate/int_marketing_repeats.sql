-- By their hashes alone, which take a fraction of the memory of the keys.
select key_hash
from {{ ref('stg_marketing_conversions') }}
where fault is null
group by key_hash
having count(*) > 1
