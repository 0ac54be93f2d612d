"""Twilio's own library, asked one JSON line at a time. Started by oracle.rs; wants the PyPI package twilio."""

import json
import sys
from urllib.parse import parse_qsl

from twilio.request_validator import RequestValidator, get_signature_algorithm
from twilio.twiml.voice_response import VoiceResponse


class Form(dict):
    """What web frameworks hand to the validator: every value of every name."""

    def __init__(self, body):
        super().__init__()
        for name, value in parse_qsl(body, keep_blank_values=True, strict_parsing=False):
            self.setdefault(name, []).append(value)

    def getlist(self, name):
        return self[name]


def sign(asked):
    algorithm = get_signature_algorithm(asked["settings"])
    return RequestValidator(asked["token"]).compute_signature(asked["url"], Form(asked["body"]), algorithm)


def validate(asked):
    body = asked["body"] if asked["json"] else Form(asked["body"])
    algorithm = get_signature_algorithm(asked["settings"])
    return RequestValidator(asked["token"]).validate(asked["url"], body, asked["signature"], algorithm)


def connect(asked):
    response = VoiceResponse()
    verb = response.connect(action=asked["action"], method="POST" if asked["action"] else None)
    callback = asked["status_callback"]
    stream = verb.stream(
        url=asked["stream"],
        status_callback=callback,
        status_callback_method="POST" if callback else None,
    )
    for name, value in asked["parameters"]:
        stream.parameter(name=name, value=value)
    response.redirect(asked["fallback"], method="POST")
    return str(response)


def say(asked):
    response = VoiceResponse()
    response.say(asked["text"])
    response.hangup()
    return str(response)


def hangup(_):
    response = VoiceResponse()
    response.hangup()
    return str(response)


def reject(_):
    response = VoiceResponse()
    response.reject(reason="busy")
    return str(response)


ANSWERS = {f.__name__: f for f in (sign, validate, connect, say, hangup, reject)}

for line in sys.stdin:
    question = json.loads(line)
    print(json.dumps(ANSWERS[question["ask"]](question)), flush=True)
