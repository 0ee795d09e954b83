Feature: An analyst reads the marts while they are built anew

  Background:
    Given these conversions are published
      | product   | campaign_type | campaign | channel | date       | conversions |
      | product a | always on     | spring   | tv      | 2025-01-06 | 45          |

  Scenario: A new publication arrives
    Given the front-end has signed in
    And the analyst holds the marts file open
    When these conversions are published
      | product   | campaign_type | campaign | channel | date       | conversions |
      | product a | always on     | spring   | tv      | 2025-01-06 | 45          |
      | product a | always on     | spring   | tv      | 2025-01-07 | 5           |
    Then the open file still says 45 conversions
    And the marts file opened anew says 50 conversions
    And the API soon answers from publication 2
    And the weekly sales it shows are 50

  Scenario: A page begun before a new publication is finished from the old one
    Given the front-end has signed in
    And it has asked for measurements with page_size=1
    When these conversions are published
      | product   | campaign_type | campaign | channel | date       | conversions |
      | product b | always on     | spring   | tv      | 2025-01-06 | 45          |
      | product c | always on     | spring   | tv      | 2025-01-07 | 5           |
    And the API answers from publication 2
    Then the links of the first page still lead through publication 1
