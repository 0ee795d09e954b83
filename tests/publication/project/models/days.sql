select date '2024-12-30' + range::int as day, range::bigint as {{ var('leads', 'leads') }}
from range(20)
