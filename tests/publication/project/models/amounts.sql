{{ config(access="public", contract={"enforced": true}, enabled=var("amounts", false)) }}
select 1::bigint as id, 1.5::decimal(5, 2) as amount
