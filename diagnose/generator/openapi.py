"""How the backend's routes are described to those who generate clients and tests from their OpenAPI document."""

from __future__ import annotations

from typing import Any

_PICTURE = {"type": "string", "description": "A picture as a data URL or as bare base64: JPEG, PNG or WebP."}
_ANSWER = {
    "type": "object",
    "required": ["images", "request_id", "debug_info"],
    "properties": {
        "images": {"type": "array", "items": {"type": "string"}},
        "remaining_coins": {"type": ["integer", "null"]},
        "debug_info": {"type": "object"},
        "request_id": {"type": "string"},
    },
}
_REFUSAL = {
    "type": "object",
    "required": ["detail", "request_id"],
    "properties": {"detail": {}, "request_id": {"type": ["string", "null"]}},
}
_FIELDS: dict[str, Any] = {
    "prompt": {"type": "string", "minLength": 1, "maxLength": 10_000},
    "aspect_ratio": {"type": "string", "enum": ["1:1", "3:4", "9:16", "4:3", "16:9"]},
    "num_images": {"type": "integer", "minimum": 1, "maximum": 4},
    "image_strength": {"type": "number", "minimum": 0.01, "maximum": 1},
    "num_inference_steps": {"type": "integer", "minimum": 1},
    "guidance_scale": {"type": "number", "minimum": 0},
}
_FILE = {"type": "string", "format": "binary"}


def _content(schema: dict[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


def _refusals(**statuses: str) -> dict[int | str, dict[str, Any]]:
    return {int(status[1:]): {"description": text, **_content(_REFUSAL)} for status, text in statuses.items()}


GENERATE: dict[str, Any] = {
    "summary": "Make pictures, from a photo where one is given",
    "responses": {
        200: {"description": "The pictures", **_content(_ANSWER)},
        **_refusals(
            _400="fal made no picture",
            _401="The caller's token is not valid",
            _403="The caller may not, or the page is another site's",
            _413="The request is too large",
            _415="Neither JSON nor multipart",
            _422="A field is missing or cannot be used",
            _500="An image that is required could not be stored",
            _503="A setting is missing, or too much is under way",
        ),
    },
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["prompt"],
                        "properties": {
                            **_FIELDS,
                            "face_image": _PICTURE,
                            "product_images": {"type": "array", "items": _PICTURE, "maxItems": 12},
                            "background_image": _PICTURE,
                        },
                    }
                },
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["prompt"],
                        "properties": {
                            **_FIELDS,
                            "image": _FILE,
                            "face_image": _FILE,
                            "product_images": {"type": "array", "items": _FILE, "maxItems": 12},
                            "background_image": _FILE,
                        },
                    }
                },
            },
        }
    },
}
"""What `POST /api/generate-image` takes and answers."""

ROUTES: dict[str, dict[str, Any]] = {
    "last_prompt": {
        "summary": "The newest entry of the prompt log",
        "responses": _refusals(_403="Not from this machine, and no token", _404="There is none yet"),
    },
    "health": {"summary": "Which build runs, and since when"},
    "ready": {
        "summary": "Whether every setting is there; the missing ones by name",
        "responses": {503: {"description": "Settings are missing", **_content({"type": "object"})}},
    },
    "browser_errors": {
        "summary": "Takes an error that a browser saw",
        "responses": _refusals(_403="The page is another site's", _413="Too large", _422="Not a JSON object"),
        "openapi_extra": {"requestBody": {"required": True, **_content({"type": "object"})}},
    },
}
"""The same of the other routes."""
