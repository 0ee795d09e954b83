{#- What dbt knows of this run and of every public mart; publication/builder.py reads it. -#}
{%- macro run_to_publish() -%}
    {%- set statuses = {} -%}
    {%- for result in results -%}
        {%- do statuses.update({result.node.unique_id: result.status | string}) -%}
    {%- endfor -%}
    {%- set marts = [] -%}
    {%- set outcomes = [] -%}
    {%- for node in graph.nodes.values() | sort(attribute='unique_id') -%}
        {%- if node.resource_type == 'model' and node.access == 'public' and node.config.enabled -%}
            {%- set tests = tests_of(node.unique_id, statuses) -%}
            {%- do outcomes.extend(tests | map(attribute='status')) -%}
            {%- do marts.append(mart_to_publish(node, tests)) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if not outcomes or 'not-run' in outcomes -%}
        {%- set overall = 'not-run' -%}
    {%- elif 'warn' in statuses.values() -%}
        {%- set overall = 'warned' -%}
    {%- else -%}
        {%- set overall = 'passed' -%}
    {%- endif -%}
    {%- do return({
        'project_dir': invocation_args_dict.project_dir | string,
        'invocation_id': invocation_id,
        'command': 'dbt ' ~ flags.WHICH,
        'full_refresh': flags.FULL_REFRESH is true,
        'tests': overall,
        'marts': marts,
    }) -%}
{%- endmacro -%}


{#- One public mart, as its YAML has it. -#}
{%- macro mart_to_publish(node, tests) -%}
    {%- set grain = node.config.meta.get('grain', []) -%}
    {%- set named = grain if grain is sequence else [] -%}
    {%- set keys = [] -%}
    {%- for key in node.config -%}{%- do keys.append('config.' ~ key) -%}{%- endfor -%}
    {%- for key in node.config.meta -%}{%- do keys.append('config.meta.' ~ key) -%}{%- endfor -%}
    {%- set columns = [] -%}
    {%- set cut = [] -%}
    {%- for column in node.columns.values() -%}
        {%- set constraints = column.constraints | map(attribute='type') | map('string') | list -%}
        {%- do columns.append({
            'name': column.name,
            'type': column.data_type or '',
            'nullable': column.name not in named and 'not_null' not in constraints
                and 'primary_key' not in constraints,
            'description': column.description,
            'personal_data_allowed': column.config.meta.get('personal_data_allowed'),
        }) -%}
        {%- for key in keys_without_value(column) -%}
            {%- do cut.append([column.name, key | string]) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- do return({
        'name': node.alias,
        'relation': node.relation_name,
        'description': node.description,
        'grain': grain,
        'scope': node.config.meta.get('scope'),
        'keys': keys,
        'file': node.patch_path,
        'model': node.name,
        'cut': cut,
        'columns': columns,
        'tests': tests,
    }) -%}
{%- endmacro -%}


{#- Every data test and unit test that reads a model, with what became of it in this run. -#}
{%- macro tests_of(unique_id, statuses) -%}
    {%- set outcomes = {'pass': 'passed', 'warn': 'warned'} -%}
    {%- set tests = [] -%}
    {%- for node in graph.nodes.values() -%}
        {%- if node.resource_type == 'test' and unique_id in node.depends_on.nodes -%}
            {%- set status = outcomes.get(statuses.get(node.unique_id), 'not-run') -%}
            {%- do tests.append({'name': node.name, 'status': status}) -%}
        {%- endif -%}
    {%- endfor -%}
    {#- dbt's graph leaves unit tests out; those that ran are among the results. -#}
    {%- for result in results -%}
        {%- if result.node.resource_type == 'unit_test'
                and unique_id == result.node.tested_node_unique_id -%}
            {%- set status = outcomes.get(result.status | string, 'not-run') -%}
            {%- do tests.append({'name': result.node.name, 'status': status}) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- do return(tests | sort(attribute='name')) -%}
{%- endmacro -%}
