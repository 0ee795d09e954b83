{% macro conversions_fault() -%}
    case
        when
            product is null or campaign_type is null or campaign is null or channel is null
            or date is null
            then 'a part of the key is null'
        when date not between date '0001-01-01' and date '9999-12-31'
            then 'the date is not in the years 1 to 9999'
        when not isfinite(conversions)
            then 'the conversions are NaN or infinite'
        when abs(conversions) > 1e12
            then 'the conversions are beyond 1e12'
    end
{%- endmacro %}
