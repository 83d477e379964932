"""Records of OPC 40100-1 as asyncua's structures and Variants, and back; the layout of ResultContent.

OPC 40100-1, §12 (data types). ResultContent is an array of 14 Variants, always all of them, in this order:

0 Good: Boolean, True for an OK part and nothing else · 1 Judgement: UInt16 (1 OK, 2 NG, 3 RECHECK, 4 FAULT, 0 none) ·
2 its name: String · 3 Reason: UInt16, the NG code or the fault code · 4 its name: String · 5 Findings: UInt16 ·
6 Score: Float · 7 RESULT_BITS: UInt16 · 8 value names: String[] · 9 values: Double[], NaN where there is none ·
10 check names: String[] · 11 checks: Boolean[] · 12 MODEL_CRC: UInt16 · 13 detail: String
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from asyncua import ua

from protocols.opcua.machine_vision_records import BinaryId, Content, Ident, VisionResult
from protocols.opcua.machine_vision_results import ResultFilter
from protocols.opcua.model.install import Model

SHA_256 = "SHA-256"
LONGEST = 256
"""Characters of an Id or a description that a client may send."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

V = ua.VariantType


class ArgumentError(ValueError):
    """An argument that is not what it should be; the call is answered with BadInvalidArgument."""


def text(value: str) -> ua.LocalizedText:
    """A text without a locale."""
    return ua.LocalizedText(value or None)


def moment(seconds: float) -> datetime:
    """UTC seconds since 1970 as OPC UA's DateTime."""
    return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else _EPOCH


def scalar(value: object, kind: ua.VariantType) -> ua.Variant:
    """One value."""
    return ua.Variant(value, kind, is_array=False)


def array(values: Sequence[object], kind: ua.VariantType) -> ua.Variant:
    """An array, which may be empty."""
    return ua.Variant(list(values), kind, is_array=True)


def structure(value: object) -> ua.Variant:
    """A structure; None is a Null."""
    return ua.Variant() if value is None else ua.Variant(value, V.ExtensionObject)


def content(c: Content) -> list[ua.Variant]:
    """ResultContent."""
    return [
        scalar(c.good, V.Boolean),
        scalar(int(c.judgement), V.UInt16),
        scalar(c.judgement.name, V.String),
        scalar(c.reason, V.UInt16),
        scalar(c.reason_name, V.String),
        scalar(c.findings, V.UInt16),
        scalar(c.score, V.Float),
        scalar(c.bits, V.UInt16),
        array([v.name for v in c.values], V.String),
        array([v.value for v in c.values], V.Double),
        array([name for name, _ in c.checks], V.String),
        array([ok for _, ok in c.checks], V.Boolean),
        scalar(c.model_crc, V.UInt16),
        scalar(c.detail, V.String),
    ]


class Structures:
    """Makes and reads the structures of one server's model."""

    def __init__(self, model: Model) -> None:
        self._make = model.structure

    # ------------------------------------------------------------ out

    def binary(self, kind: str, value: BinaryId) -> Any:
        """RecipeIdExternal/InternalDataType, ConfigurationIdDataType; None for an empty Id."""
        if not value.id:
            return None
        return self._make(kind)(
            Id=value.id,
            Version=value.version or None,
            Hash=value.digest or None,
            HashAlgorithm=SHA_256 if value.digest else None,
            Description=text(value.description) if value.description else None,
        )

    def internal_recipe(self, value: BinaryId) -> Any:
        """RecipeIdInternalDataType; an empty one has an empty Id."""
        return self.binary("RecipeIdInternalDataType", value) or self._make("RecipeIdInternalDataType")()

    def external_recipe(self, value: BinaryId) -> Any:
        """RecipeIdExternalDataType or None."""
        return self.binary("RecipeIdExternalDataType", value)

    def configuration_id(self, value: BinaryId) -> Any:
        """ConfigurationIdDataType; an empty one has an empty Id."""
        return self.binary("ConfigurationIdDataType", value) or self._make("ConfigurationIdDataType")()

    def configuration(self, value: BinaryId, modified: float) -> Any:
        """ConfigurationDataType; None for an empty Id."""
        return self._make("ConfigurationDataType")(
            HasTransferableDataOnFile=False,
            ExternalId=None,
            InternalId=self.configuration_id(value),
            LastModified=moment(modified),
        )

    def job(self, job_id: str) -> Any:
        """JobIdDataType."""
        return self._make("JobIdDataType")(Id=job_id)

    def result_id(self, result_id: str) -> Any:
        """ResultIdDataType."""
        return self._make("ResultIdDataType")(Id=result_id)

    def ident(self, kind: str, value: Ident) -> Any:
        """MeasIdDataType or PartIdDataType; None for an empty Id."""
        if not value.id:
            return None
        said = value.description
        described = ua.LocalizedText(said[0] or None, said[1] or None) if said is not None else None
        return self._make(kind)(Id=value.id, Description=described)

    def times(self, r: VisionResult) -> Any:
        """ProcessingTimesDataType."""
        return self._make("ProcessingTimesDataType")(
            StartTime=moment(r.started),
            EndTime=moment(r.ended),
            AcquisitionDuration=r.acquisition_ms,
            ProcessingDuration=r.processing_ms,
        )

    def result(self, r: VisionResult) -> Any:
        """ResultDataType, whole."""
        return self._make("ResultDataType")(**self.result_fields(r), ResultContent=content(r.content))

    def result_fields(self, r: VisionResult) -> dict[str, Any]:
        """All fields of a result but ResultContent, by their names; None where there is nothing to say."""
        return {
            "ResultId": self.result_id(r.result_id),
            "HasTransferableDataOnFile": False,
            "IsPartial": False,
            "IsSimulated": r.simulated,
            "ResultState": int(r.state),
            "MeasId": self.ident("MeasIdDataType", r.meas),
            "PartId": self.ident("PartIdDataType", r.part),
            "ExternalRecipeId": self.external_recipe(r.external_recipe),
            "InternalRecipeId": self.internal_recipe(r.internal_recipe),
            "ProductId": None,
            "ExternalConfigurationId": None,
            "InternalConfigurationId": self.configuration_id(r.internal_configuration),
            "JobId": self.job(r.job_id),
            "CreationTime": moment(r.created),
            "ProcessingTimes": self.times(r),
        }

    def system_state(self, state: int, description: str) -> Any:
        """SystemStateDescriptionDataType."""
        enum = self._make("SystemStateDataType")
        return self._make("SystemStateDescriptionDataType")(
            State=enum(state), StateDescription=description.strip() or None
        )

    def empty(self, name: str) -> Any:
        """A structure with nothing in it, for an answer that says by Error that there is none."""
        return self._make(name)()

    # ------------------------------------------------------------ in

    def id_of(self, kind: str, value: object) -> str:
        """The Id of a structure of this type, without blanks at its ends; empty for none."""
        return _short(getattr(self._checked(kind, value), "Id", None))

    def ident_of(self, kind: str, value: object) -> Ident:
        """MeasId or PartId as the client sent it."""
        found = self._checked(kind, value)
        if found is None or not found.Id:
            return Ident()
        said = found.Description
        described = None if said is None else (_short(said.Text), _short(said.Locale))
        return Ident(_short(found.Id), described)

    def binary_of(self, kind: str, value: object) -> BinaryId:
        """An id with what it says of the content."""
        found = self._checked(kind, value)
        if found is None:
            return BinaryId()
        digest = bytes(found.Hash or b"")
        if len(digest) > LONGEST:
            raise ArgumentError(f"a hash of {len(digest)} bytes")
        return BinaryId(_short(found.Id), _short(found.Version), digest)

    def filter_of(self, state: int, ids: Sequence[object]) -> ResultFilter:
        """The filters of GetResultListFiltered in their order."""
        meas, part, external, internal, outer, inner, product, job = ids
        return ResultFilter(
            state=state,
            meas=self.id_of("MeasIdDataType", meas),
            part=self.id_of("PartIdDataType", part),
            external_recipe=self.binary_of("RecipeIdExternalDataType", external),
            internal_recipe=self.binary_of("RecipeIdInternalDataType", internal),
            external_configuration=self.binary_of("ConfigurationIdDataType", outer),
            internal_configuration=self.binary_of("ConfigurationIdDataType", inner),
            product=self.id_of("ProductIdDataType", product),
            job=self.id_of("JobIdDataType", job),
        )

    def _checked(self, kind: str, value: object) -> Any:
        if value is not None and not isinstance(value, self._make(kind)):
            raise ArgumentError(f"{kind} is wanted, and {type(value).__name__} was sent")
        return value


def _short(value: str | None) -> str:
    trimmed = (value or "").strip()
    if len(trimmed) > LONGEST:
        raise ArgumentError(f"a text of {len(trimmed)} characters; {LONGEST} are taken")
    return trimmed
