"""The requests of oracle.rs, made by Twilio's own client. Arguments: base URL, account, key, secret, our number."""

import sys

from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

base, account, key, secret, number = sys.argv[1:]


class Here(TwilioHttpClient):
    """Asks the server of the test instead of Twilio's."""

    def request(self, method, url, *args, **kwargs):
        return super().request(method, url.replace("https://api.twilio.com", base), *args, **kwargs)


client = Client(key, secret, account, http_client=Here())
voice = "https://voice.example.org/voice"
client.calls.create(
    to="+15551230001",
    from_=number,
    url=f"{voice}/outgoing?id=x&y=1",
    method="POST",
    status_callback=f"{voice}/status",
    status_callback_method="POST",
    status_callback_event=["initiated", "ringing", "answered", "completed"],
    timeout=30,
    time_limit=3600,
    machine_detection="DetectMessageEnd",
    async_amd="true",
    async_amd_status_callback=f"{voice}/amd",
    async_amd_status_callback_method="POST",
)
client.calls("CA1").update(status="completed")
client.calls("CA1").update(twiml="<Response><Dial>+15550188001</Dial></Response>")
client.messages.create(to="+15551230001", from_=number, body="Grüße & <bye>")
client.request("GET", f"https://api.twilio.com/2010-04-01/Accounts/{account}/Recordings/RE1.wav")
client.recordings("RE1").delete()
