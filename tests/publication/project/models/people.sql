{{ config(access="public", contract={"enforced": true}, enabled=var("people", false)) }}
select 7::bigint as lead_id, 'ask ada@example.org' as note
