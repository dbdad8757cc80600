"""The gateway as notebooks and scripts meet it, by Python's gql. The environment has its URL."""

import os
import unittest

from gql import Client, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.requests import RequestsHTTPTransport
from graphql import GraphQLError

QUERY = """
    query NewYear($filter: DailyUsageFilterInput!, $timeZone: TimeZone!) {
      dailyUsage(filter: $filter, timeZone: $timeZone, gaps: ZERO) { date startsAt visits conversionRate }
    }
"""
# Years before the sample's first token, so that every value is known.
VARIABLES = {"filter": {"from": "2001-01-01", "to": "2001-01-01"}, "timeZone": "Europe/Berlin"}
ANSWER = {
    "dailyUsage": [{"date": "2001-01-01", "startsAt": "2000-12-31T23:00:00Z", "visits": 0, "conversionRate": None}]
}


def connect(**options):
    return Client(transport=RequestsHTTPTransport(os.environ["GATEWAY_URL"], timeout=30), **options)


def request(document, variables=None):
    asked = gql(document)
    asked.variable_values = variables
    return asked


class GqlTest(unittest.TestCase):
    def refused(self, document):
        with self.assertRaises(TransportQueryError) as raised:
            connect().execute(request(document))
        return raised.exception

    def test_variables(self):
        self.assertEqual(connect().execute(request(QUERY, VARIABLES)), ANSWER)

    def test_an_error_of_a_field_has_its_code_beside_the_other_fields(self):
        error = self.refused("{ dailyUsage(first: 0) { date } userVisits(filter: {userIds: [1]}) { totalCount } }")
        self.assertEqual(error.data, {"dailyUsage": None, "userVisits": {"totalCount": 1}})
        [only] = error.errors
        self.assertEqual(only["extensions"], {"argument": "first", "code": "BAD_USER_INPUT"})
        self.assertEqual(only["path"], ["dailyUsage"])

    def test_an_invalid_document_has_its_code(self):
        [only] = self.refused("{ dailyUsage { nope } }").errors
        self.assertEqual(only["extensions"], {"code": "GRAPHQL_VALIDATION_FAILED"})

    def test_the_schema_is_fetched_and_documents_are_checked_by_it(self):
        client = connect(fetch_schema_from_transport=True)
        self.assertEqual(client.execute(request(QUERY, VARIABLES)), ANSWER)
        self.assertEqual(str(client.schema.query_type.fields["dailyUsage"].type), "[DailyUsage!]")
        self.assertIn("`Europe/Berlin`", client.schema.type_map["TimeZone"].description)
        # Refused on this side, before anything is sent.
        with self.assertRaisesRegex(GraphQLError, "Cannot query field 'nope' on type 'DailyUsage'"):
            client.execute(request("{ dailyUsage { nope } }"))


if __name__ == "__main__":
    unittest.main()
