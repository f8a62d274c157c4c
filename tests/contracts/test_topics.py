"""Every topic: its payload and example, its row in the guide, who may read it, and that a payload
of another form is refused.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pydantic import ValidationError

from edge_agent.appliance.broker_accounts import PUBLISHED
from edge_agent.config.keys import key_named
from edge_agent.core.clock import Instant
from edge_agent.core.given_readings import ReadingOrigin, parse_payload, reading_of
from edge_agent.core.vitals import VitalKind
from edge_agent.mqtt import asyncapi
from edge_agent.mqtt.asyncapi import CHANNELS, COMMANDS, DISCOVERY, FLEET, INGEST, TopicChannel
from edge_agent.mqtt.payloads import Topics
from tests.docs.pages import text_of
from tools.documents.reference import FILES

GUIDED = (*CHANNELS, INGEST, *COMMANDS)
EVERY = (*GUIDED, *FLEET, DISCOVERY)
REFUSALS = {Topics.REJECTED, Topics.COMMAND_REJECTED}
NOT_TURNED_OFF = {Topics.STATUS, Topics.MOVEMENTS, *REFUSALS}
"""Topics of the appliance that `mqtt.topics_off` does not know: liveness, refusals, and one with a
switch of its own.
"""
GUIDE = text_of("docs/mqtt.md")
EXAMPLES = dict(re.findall(r"### `([\w/]+)`.*?```json\n(.*?)```", GUIDE, flags=re.DOTALL))
ROWS = {
    topic: (int(qos), retained)
    for topics, qos, retained in re.findall(
        r"^\| (`.*`) \| ([01]) \| (\S+) \|", GUIDE, re.MULTILINE
    )
    for topic in re.findall(r"`([\w/]+)`", topics)
}
"""Topic → quality of service and whether the newest message is kept, as the guide says."""
AT = Instant(0, 1_790_000_400_250)


def schema_of(channel: TopicChannel, document: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON schema of one channel's payload out of the document, with its references."""
    message = document["channels"][channel.key]["messages"][channel.key]["$ref"].rsplit("/", 1)[1]
    return {
        **document["components"]["messages"][message]["payload"],
        "components": document["components"],
    }


def fits(value: object, schema: dict[str, Any]) -> bool:
    """Tell whether a value is what a JSON schema describes."""
    import jsonschema  # loads for seconds, which every worker would do while it looks for tests

    try:
        jsonschema.validate(value, schema)
    except jsonschema.ValidationError:
        return False
    return True


def test_topic_registry_holds_every_topic_once() -> None:
    named = {value for name, value in vars(Topics).items() if name.isupper() and name != "RETAINED"}
    suffixes = [channel.suffix for channel in EVERY]
    assert len(suffixes) == len(set(suffixes))
    assert set(suffixes) - {DISCOVERY.suffix} == named
    assert {channel.suffix for channel in CHANNELS if channel.retain} - {Topics.STATUS} == (
        Topics.RETAINED
    )


def test_topic_document_is_published_as_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    asyncapi.main()
    published = FILES["docs/asyncapi.json"]()
    assert capsys.readouterr().out == published
    document = json.loads(published)
    for reference in re.findall(r'"\$ref": "([^"]+)"', published):
        part: Any = document
        for key in reference.removeprefix("#/").split("/"):
            part = part[key]
        assert part


@pytest.mark.parametrize("channel", EVERY, ids=lambda channel: channel.suffix)
def test_topic_example_fits_its_model_and_its_schema(channel: TopicChannel) -> None:
    model = channel.payload.model_validate(channel.example)
    assert fits(channel.example, schema_of(channel, asyncapi.document()))
    if channel in CHANNELS:
        assert json.loads(model.model_dump_json(by_alias=True)) == channel.example


@pytest.mark.parametrize("channel", GUIDED, ids=lambda channel: channel.suffix)
def test_topic_payload_of_another_form_is_refused(channel: TopicChannel) -> None:
    schema = schema_of(channel, asyncapi.document())
    wrong = [channel.example | {"unknown": 1}, channel.example | {"schema": 99}]
    if channel in CHANNELS:
        assert not fits({k: v for k, v in channel.example.items() if k != "schema"}, schema)
    for value in wrong:
        assert not fits(value, schema)
        with pytest.raises(ValidationError, match="unknown|schema"):
            channel.payload.model_validate(value)


def test_topic_of_readings_takes_what_its_schema_allows() -> None:
    schema = schema_of(INGEST, asyncapi.document())
    for given in (INGEST.example, [INGEST.example, {"kind": "systolic", "value": 120}]):
        assert fits(given, schema)
        for item in parse_payload(json.dumps(given).encode()):
            assert reading_of(item, AT, ReadingOrigin("mqtt")).kind in VitalKind
    for broken in (
        {**INGEST.example, "unknown": 1},
        {"kind": "pulse", "value": 1},
        [],
        [{"kind": "systolic"}],
    ):
        assert not fits(broken, schema)


@pytest.mark.parametrize("channel", GUIDED, ids=lambda channel: channel.suffix)
def test_topic_stands_in_the_guide_with_its_row_and_example(channel: TopicChannel) -> None:
    retained = "–" if channel.action == "receive" else "yes" if channel.retain else "no"
    assert ROWS[channel.suffix] == (channel.qos, retained)
    assert json.loads(EXAMPLES[channel.suffix]) == channel.example
    assert channel.when.endswith(".")


def test_topics_of_the_guide_are_those_of_the_registry() -> None:
    assert set(EXAMPLES) == set(ROWS) == {channel.suffix for channel in GUIDED}


def test_topics_that_a_reader_may_read_are_all_but_the_refusals() -> None:
    sent = {channel.suffix for channel in CHANNELS}
    assert set(PUBLISHED) == sent - REFUSALS


def test_topics_that_can_be_turned_off_are_those_that_tell_measurements() -> None:
    key = key_named("mqtt.topics_off")
    assert key is not None
    assert set(key.choices) == {channel.suffix for channel in CHANNELS} - NOT_TURNED_OFF
