select
    'leads' as name,
    'data/lake/leads' as uri,
    '4f2a' as table_id,
    7::bigint as version,
    timestamptz '2026-01-01 00:30:00+01' as committed_at
