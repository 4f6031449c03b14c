"""Takes the tour with the generated Python client: create, read until the account is
connected, list, and read the message that was sent.

    PYTHONPATH=generated python3 tour.py URL KEY
"""

import sys
import time
import uuid

import openapi_client as connectlink
from openapi_client.rest import ApiException

url, key = sys.argv[1:]
configuration = connectlink.Configuration(host=url)
configuration.access_token = key
client = connectlink.ApiClient(configuration)
invites, reading, test_mode = (
    connectlink.InvitesApi(client),
    connectlink.ReadingApi(client),
    connectlink.TestModeApi(client),
)
user = f"python-{uuid.uuid4()}"
address = "delivered+connect@connectlink.test"
invite = invites.create_invite(
    connectlink.CreateInvite(
        external_user_id=user,
        app="slack",
        channel="email",
        recipient=connectlink.Recipient(email=address, name="Pat"),
    ),
    idempotency_key=user,
)
deadline = time.monotonic() + 60
while invite.status != "connected":
    assert time.monotonic() < deadline, f"the invite is {invite.status}"
    time.sleep(0.2)
    invite = reading.get_invite(invite.id)
assert invite.connection.account_id.startswith("apn_"), invite.connection
assert [i.id for i in reading.list_invites(external_user_id=[user]).data] == [invite.id]
assert [m.to for m in test_mode.list_test_messages(invite=invite.id).data] == [address]
try:
    invites.create_invite(connectlink.CreateInvite(external_user_id=user, app="slak", channel="link"))
    raise AssertionError("an unknown app was taken")
except ApiException as problem:
    assert problem.status == 422 and "unknown_app" in problem.body, problem
print("the Python client took the tour")
