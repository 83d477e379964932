"""What `gateway opcua browse` says of a server that turns it away."""

import argparse

from asyncua import ua

from gateway.opcua.dialling import sentence


def test_who_gave_no_name_is_told_to_give_one() -> None:
    options = argparse.Namespace(user="", timeout=5)
    assert "give --user" in sentence(ua.uaerrors.BadUserAccessDenied(), options)
    options.user = "anna"
    assert "refuses this user or password" in sentence(ua.uaerrors.BadUserAccessDenied(), options)
