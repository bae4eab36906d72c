"""The description of the API shows what is sent and answered, and says which answers there are."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from pydantic import ValidationError

from certwright.api.changes import Body
from certwright.api.examples import EXAMPLES
from world.api import Service

_EXAMPLES = ("example", "examples")
_TOLD_BY_THEMSELVES = ("enum", "const")
_REF = "#/components/schemas/"


@pytest.fixture
def described(service: Service) -> Any:
    """As programs get it."""
    return service.client().ask("GET", "/openapi.json").data


def operations(described: Any) -> Iterator[tuple[str, str, Any]]:
    """The method, the path and the description of each."""
    for path, methods in described["paths"].items():
        for method, told in methods.items():
            yield method, path, told


def contents(described: Any) -> Iterator[tuple[str, Any]]:
    """Each JSON body and each JSON answer of success, and of which operation it is."""
    for method, path, told in operations(described):
        sent = [told["requestBody"]] if "requestBody" in told else []
        answered = [each for status, each in told["responses"].items() if status.startswith("2")]
        for each in (*sent, *answered):
            if content := each.get("content", {}).get("application/json"):
                yield f"{method} {path}", content


def has_example(schema: Any, schemas: Any) -> bool:
    """Whether it has an example of itself, or of each of its parts that do not say themselves what they can be."""
    if any(word in schema for word in (*_EXAMPLES, *_TOLD_BY_THEMSELVES)) or schema.get("type") in ("boolean", "null"):
        return True
    if "$ref" in schema:
        return has_example(schemas[schema["$ref"].removeprefix(_REF)], schemas)
    parts = [*schema.get("anyOf", ()), *schema.get("properties", {}).values()]
    parts += [schema[word] for word in ("items", "additionalProperties") if isinstance(schema.get(word), dict)]
    return bool(parts) and all(has_example(part, schemas) for part in parts)


def test_each_body_and_each_answer_has_an_example(described: Any) -> None:
    found = list(contents(described))
    assert len(found) > 150
    schemas = described["components"]["schemas"]
    bare = [each for each in found if "example" not in each[1]]
    without = [what for what, content in bare if not has_example(content["schema"], schemas)]
    assert without == []
    assert not EXAMPLES.keys() - schemas.keys()


def examples(schema: Any) -> Iterator[tuple[Any, Any]]:
    """Each example in it, with the schema of which it is one."""
    if isinstance(schema, dict):
        yield from ((schema, each) for each in schema.get("examples", ()) if isinstance(schema["examples"], list))
        for part in schema.values():
            yield from examples(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from examples(part)


def test_each_example_is_one_of_what_it_is_beside(described: Any) -> None:
    schemas = described["components"]["schemas"]
    found = [*examples(schemas), *((c["schema"], c["example"]) for _, c in contents(described) if "example" in c)]
    assert len(found) > 100
    for schema in schemas.values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    for schema, example in found:
        alone = {**schema, "components": described["components"]}
        jsonschema_rs.validator_for(alone, validate_formats=True).validate(example)


def test_what_reads_a_body_says_that_one_can_be_too_long_and_what_reads_files_that_one_may_have_to_wait(
    described: Any,
) -> None:
    reads = ("post", "put", "patch")
    waits = []
    for method, path, told in operations(described):
        assert ("413" in told["responses"]) == (method in reads), path
        waits += [f"{method} {path.removeprefix('/api/v1')}"] if "429" in told["responses"] else []
        for status in {"413", "429"} & set(told["responses"]):
            assert set(told["responses"][status]["content"]) == {"application/problem+json"}
    assert waits == [
        "post /certificates",
        "patch /certificates/{id}",
        "post /certificates/{id}/change/preview",
        "post /watched",
        "put /watched/{id}/file",
    ]


def bodies(of: type[Body] = Body) -> Iterator[type[Body]]:
    for each in of.__subclasses__():
        yield each
        yield from bodies(each)


@pytest.mark.parametrize("model", sorted(set(bodies()), key=str))
def test_nothing_else_is_taken_for_a_number_or_for_yes_or_no(model: type[Body]) -> None:
    for name, shape in model.model_json_schema()["properties"].items():
        kinds = {shape.get("type"), *(each.get("type") for each in shape.get("anyOf", ()))}
        for kind, other in (("boolean", 0), ("integer", "7")):
            if kind in kinds:
                with pytest.raises(ValidationError) as refused:
                    model.model_validate({name: other})
                assert (name,) in [each["loc"][:1] for each in refused.value.errors()], name
