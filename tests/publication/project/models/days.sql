select date '2024-12-30' + range::int as day, range::bigint as leads from range(20)
