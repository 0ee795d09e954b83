Feature: A front-end shows marketing measurements
  It signs in with a user's name and password, and draws what the API answers.

  Background:
    Given these conversions are published
      | product   | campaign_type | campaign | channel  | date       | conversions |
      | product a | always on     | spring   | facebook | 2024-12-29 | 2           |
      | product a | always on     | spring   | facebook | 2024-12-30 | 10          |
      | product a | always on     | spring   | facebook | 2025-01-05 | 5           |
      | product a | always on     | spring   | facebook | 2025-01-06 | 7           |
      | product a | burst         | summer   | tv       | 2024-12-31 | 45          |
      | product b | burst         | summer   | tv       | 2025-01-02 | 15          |
      | product b | burst         | summer   | radio    | 2025-01-02 | 0           |
    And the front-end has signed in

  Scenario: Measurements for a channel
    When it asks for measurements with channels=tv
    Then the answer is 200
    And the data is
      | product   | campaign_type | campaign | channel | date       | conversions |
      | product a | burst         | summer   | tv      | 2024-12-31 | 45          |
      | product b | burst         | summer   | tv      | 2025-01-02 | 15          |

  Scenario: Filters of two kinds must both fit, values of one kind need only one
    When it asks for measurements with products=product b&channels=tv&channels=radio
    Then the data is
      | product   | campaign_type | campaign | channel | date       | conversions |
      | product b | burst         | summer   | radio   | 2025-01-02 | 0           |
      | product b | burst         | summer   | tv      | 2025-01-02 | 15          |

  Scenario: Weekly sales in a range count only the days inside it
    When it asks for weekly sales with channels=facebook&start_date=2024-12-31&end_date=2025-01-06
    Then the data is
      | channel  | year | week | sales |
      | facebook | 2025 | 1    | 5     |
      | facebook | 2025 | 2    | 7     |

  Scenario: The week of New Year belongs to the ISO year that has its Thursday
    When it asks for weekly sales with channels=facebook
    Then the data is
      | channel  | year | week | sales |
      | facebook | 2024 | 52   | 2     |
      | facebook | 2025 | 1    | 15    |
      | facebook | 2025 | 2    | 7     |

  Scenario: Percentages are shares of all sales, whatever else is filtered
    When it asks for percentages with start_date=2024-12-30&end_date=2025-01-05&products=product a
    Then the data is
      | channel  | percentage |
      | tv       | 60.00      |
      | facebook | 20.00      |

  Scenario: Nothing to divide
    When it asks for percentages with channels=radio&start_date=2025-01-03&end_date=2025-01-03
    Then the answer is 200
    And there is no data

  Scenario: A list in pages
    When it asks for measurements with page_size=3
    Then there are 3 elements of 7
    When it follows the links to the last page
    Then it has seen 7 elements, none of them twice

  Scenario: A reversed range
    When it asks for weekly sales with start_date=2025-01-06&end_date=2025-01-05
    Then the answer is 400
    And it says "End date should be greater than start date or equal to it: 2025-01-05 is before 2025-01-06."

  @short_tokens
  Scenario: An expired token
    Given its token has expired
    When it asks for measurements with channels=tv
    Then the answer is 401
    When it refreshes its token
    And it asks for measurements with channels=tv
    Then the answer is 200

  Scenario: No token at all
    Given it has not signed in
    When it asks for percentages
    Then the answer is 401
