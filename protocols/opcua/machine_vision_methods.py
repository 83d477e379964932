"""The methods of OPC 40100-1, bound to the objects of one station: arguments in, requests to the machine, answers out.

None of them waits (see protocols.opcua.compat): what is asked for is put in order, and events tell what became of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from asyncua import Server, ua

from protocols.opcua import compat
from protocols.opcua.compat import Array, Role
from protocols.opcua.compat.names import status
from protocols.opcua.machine_vision_conditions import Answer, Comment
from protocols.opcua.machine_vision_events import AUTOMATIC, MACHINE
from protocols.opcua.machine_vision_identity import configuration, internal_recipe
from protocols.opcua.machine_vision_nodes import SystemNodes
from protocols.opcua.machine_vision_records import Grade, MethodError, Reply
from protocols.opcua.machine_vision_requests import JobRequest, VisionMachine
from protocols.opcua.machine_vision_results import PAGE
from protocols.opcua.machine_vision_structures import ArgumentError, Structures, V, array, scalar, structure

T = TypeVar("T")
Outputs = Sequence[ua.Variant] | ua.StatusCode
Handler = Callable[..., Outputs]
AtNow = Callable[[], float]

_STRUCTURE, _TEXT, _INT, _UINT, _BOOL = V.ExtensionObject, V.String, V.Int32, V.UInt32, V.Boolean
_CAUSE = (_INT, _TEXT)
_PAGING = (_UINT, _UINT, _INT)
_JOB = (_STRUCTURE, _STRUCTURE, _STRUCTURE, _STRUCTURE, Array(V.Variant))
_COMMENT = (V.ByteString, V.LocalizedText)
_OPERATE, _VIEW = Role.OPERATOR, Role.VIEWER
_NOT_PREPARED, _PREPARED = 0, 1


class Methods:
    """`finish` is called after each method, to carry out what it asked for."""

    def __init__(self, server: Server, nodes: SystemNodes, machine: VisionMachine, now: AtNow) -> None:
        self._server, self._nodes, self._machine, self._now = server, nodes, machine, now
        self._structures = Structures(nodes.model)
        self._events: dict[bytes, tuple[Grade, int]] = {}
        self.finish: Callable[[], None] = lambda: None
        self.started = 0.0
        """UTC seconds: when the configuration was loaded."""

    def bind(self) -> None:
        """Make all of them callable."""
        for path, (handler, role, inputs) in self._table().items():
            compat.bind_method(
                self._server, self._nodes.system.id(path), self._guarded(handler), role=role, inputs=inputs
            )
        for grade, instance in self._nodes.conditions.items():
            for name, answer in self._answers().items():
                handler = self._guarded(self._condition(grade, answer))
                compat.bind_method(self._server, instance.id(name), handler, role=_OPERATE, inputs=_COMMENT)

    def remember(self, event_id: bytes, grade: Grade, serial: int) -> None:
        """The EventId by which a client will acknowledge this state of a condition."""
        self._events[event_id] = (grade, serial)
        while len(self._events) > 256:
            del self._events[next(iter(self._events))]

    def _table(self) -> dict[str, tuple[Handler, Role, tuple[ua.VariantType | Array, ...]]]:
        recipes, results, configurations = "RecipeManagement", "ResultManagement", "ConfigurationManagement"
        return {
            f"{MACHINE}/SelectModeAutomatic": (self._select, _OPERATE, ()),
            f"{MACHINE}/Reset": (self._reset, _OPERATE, _CAUSE),
            f"{MACHINE}/Halt": (self._halt, _OPERATE, _CAUSE),
            f"{MACHINE}/ConfirmAll": (self._confirm_all, _OPERATE, (V.LocalizedText,)),
            f"{AUTOMATIC}/StartSingleJob": (self._start_single, _OPERATE, _JOB),
            f"{AUTOMATIC}/StartContinuous": (self._start_continuous, _OPERATE, _JOB),
            f"{AUTOMATIC}/Stop": (self._stop, _OPERATE, _CAUSE),
            f"{AUTOMATIC}/Abort": (self._abort, _OPERATE, _CAUSE),
            f"{AUTOMATIC}/SimulationMode": (self._simulation, _OPERATE, (_BOOL, *_CAUSE)),
            f"{recipes}/GetRecipeListFiltered": (self._recipes, _VIEW, (_STRUCTURE, _STRUCTURE, _INT, *_PAGING)),
            f"{recipes}/PrepareRecipe": (self._prepare, _OPERATE, (_STRUCTURE, _STRUCTURE)),
            f"{recipes}/UnprepareRecipe": (self._unprepare, _OPERATE, (_STRUCTURE, _STRUCTURE)),
            f"{results}/GetResultById": (self._result, _VIEW, (_STRUCTURE, _INT)),
            f"{results}/GetResultComponentsById": (self._components, _VIEW, (_STRUCTURE, _INT)),
            f"{results}/GetResultListFiltered": (self._results, _VIEW, (_INT, *(_STRUCTURE,) * 8, *_PAGING)),
            f"{results}/ReleaseResultHandle": (self._release, _VIEW, (_UINT,)),
            f"{configurations}/ActivateConfiguration": (self._activate, _OPERATE, (_STRUCTURE,)),
            f"{configurations}/GetConfigurationById": (self._configuration, _VIEW, (_STRUCTURE, _INT)),
            f"{configurations}/GetConfigurationList": (self._configurations, _VIEW, _PAGING),
            "SafetyStateManagement/ReportSafetyState": (self._safety, _OPERATE, (_BOOL, _TEXT)),
        }

    def _guarded(self, handler: Handler) -> Handler:
        def call(*arguments: Any) -> Outputs:
            try:
                return handler(*arguments)
            except ArgumentError:
                return status("BadInvalidArgument")
            finally:
                self.finish()

        return call

    # ------------------------------------------------------------ states

    def _select(self) -> Outputs:
        return _error(self._machine.select_mode_automatic(_session(), self._now()))

    def _reset(self, cause: int, description: str) -> Outputs:
        return _error(self._machine.reset(_session(), self._now()))

    def _halt(self, cause: int, description: str) -> Outputs:
        return _error(self._machine.halt(_session(), self._now()))

    def _stop(self, cause: int, description: str) -> Outputs:
        return _error(self._machine.stop(_session(), self._now()))

    def _abort(self, cause: int, description: str) -> Outputs:
        return _error(self._machine.abort(_session(), self._now()))

    def _simulation(self, activate: bool, cause: int, description: str) -> Outputs:
        return _error(self._machine.simulation_mode(activate))

    def _start_single(self, *arguments: Any) -> Outputs:
        return self._started(self._machine.start_single_job(_session(), self._request(*arguments), self._now()))

    def _start_continuous(self, *arguments: Any) -> Outputs:
        return self._started(self._machine.start_continuous(_session(), self._request(*arguments), self._now()))

    def _request(self, meas: Any, part: Any, recipe: Any, product: Any, parameters: Any) -> JobRequest:
        s = self._structures
        return JobRequest(
            s.ident_of("MeasIdDataType", meas),
            s.ident_of("PartIdDataType", part),
            s.binary_of("RecipeIdExternalDataType", recipe),
            s.id_of("ProductIdDataType", product),
            len(parameters or ()),
        )

    def _started(self, reply: Reply) -> Outputs:
        return _refused(reply) or [structure(self._structures.job(reply.job_id)), _code(reply.error)]

    # ------------------------------------------------------------ recipes

    def _prepare(self, external: Any, internal: Any) -> Outputs:
        reply = self._machine.prepare_recipe(_session(), *self._both(external, internal), self._now())
        out = structure(self._structures.internal_recipe(reply.recipe))
        return _refused(reply) or [out, scalar(reply.completed, _BOOL), _code(reply.error)]

    def _unprepare(self, external: Any, internal: Any) -> Outputs:
        reply = self._machine.unprepare_recipe(_session(), *self._both(external, internal), self._now())
        return _refused(reply) or [structure(self._structures.internal_recipe(reply.recipe)), _code(reply.error)]

    def _both(self, external: Any, internal: Any) -> tuple[Any, Any]:
        s = self._structures
        return s.binary_of("RecipeIdExternalDataType", external), s.binary_of("RecipeIdInternalDataType", internal)

    def _recipes(self, external: Any, product: Any, wanted: int, limit: int, start: int, timeout: int) -> Outputs:
        asked = self._structures.binary_of("RecipeIdExternalDataType", external)
        if wanted not in (0, 1, 2):
            raise ArgumentError(f"IsPrepared {wanted}")
        book = self._machine.recipes
        found = list(book.recipes) if not asked.id else [r for r in (book.external(asked),) if r is not None]
        if self._structures.id_of("ProductIdDataType", product):
            found = []
        prepared = self._machine.prepared
        if wanted in (_NOT_PREPARED, _PREPARED):
            found = [r for r in found if (r.number == prepared) == (wanted == _PREPARED)]
        complete, page = _page(found, limit, start)
        ids = [self._structures.internal_recipe(internal_recipe(r)) for r in page]
        return _list(complete, 0, ids)

    # ------------------------------------------------------------ configuration

    def _activate(self, internal: Any) -> Outputs:
        asked = self._structures.binary_of("ConfigurationIdDataType", internal)
        return _error(self._machine.activate_configuration(asked))

    def _configuration(self, internal: Any, timeout: int) -> Outputs:
        asked = self._structures.binary_of("ConfigurationIdDataType", internal)
        known = configuration(self._machine.facts)
        found = known.named_by(asked)
        made = self._structures.configuration(known, self.started)
        answer = made if found else self._structures.empty("ConfigurationDataType")
        error = MethodError.NONE if found else MethodError.UNKNOWN_CONFIGURATION
        return [scalar(0, _UINT), structure(answer), _code(error)]

    def _configurations(self, limit: int, start: int, timeout: int) -> Outputs:
        complete, page = _page([configuration(self._machine.facts)], limit, start)
        return _list(complete, 0, [self._structures.configuration(each, self.started) for each in page])

    # ------------------------------------------------------------ results

    def _result(self, result_id: Any, timeout: int) -> Outputs:
        found = self._machine.results.by_id(self._structures.id_of("ResultIdDataType", result_id))
        if found is None:
            empty = structure(self._structures.empty("ResultDataType"))
            return [scalar(0, _UINT), empty, _code(MethodError.UNKNOWN_RESULT)]
        handle = self._machine.results.open_handle()
        return [scalar(handle, _UINT), structure(self._structures.result(found)), _code(MethodError.NONE)]

    def _components(self, result_id: Any, timeout: int) -> Outputs:
        found = self._machine.results.by_id(self._structures.id_of("ResultIdDataType", result_id))
        handle = 0 if found is None else self._machine.results.open_handle()
        made = self._structures.empty("ResultDataType") if found is None else self._structures.result(found)
        missing = {
            "MeasId": "MeasIdDataType",
            "PartId": "PartIdDataType",
            "ExternalRecipeId": "RecipeIdExternalDataType",
            "ProductId": "ProductIdDataType",
            "ExternalConfigurationId": "ConfigurationIdDataType",
            "ProcessingTimes": "ProcessingTimesDataType",
        }

        def part(name: str) -> ua.Variant:
            value = getattr(made, name)
            return structure(self._structures.empty(missing[name]) if value is None and name in missing else value)

        return [
            scalar(bool(made.HasTransferableDataOnFile), _BOOL),
            scalar(handle, _UINT),
            scalar(made.IsPartial, _BOOL),
            scalar(bool(made.IsSimulated), _BOOL),
            scalar(int(made.ResultState), _INT),
            *(part(name) for name in ("MeasId", "PartId", "ExternalRecipeId", "InternalRecipeId", "ProductId")),
            *(part(name) for name in ("ExternalConfigurationId", "InternalConfigurationId", "JobId")),
            scalar(made.CreationTime, V.DateTime),
            part("ProcessingTimes"),
            array(made.ResultContent or [], V.Variant),
            _code(MethodError.UNKNOWN_RESULT if found is None else MethodError.NONE),
        ]

    def _results(self, state: int, *rest: Any) -> Outputs:
        *ids, limit, start, _timeout = rest
        wanted = self._structures.filter_of(state, ids)
        complete, page = self._machine.results.page(wanted, limit, start)
        handle = self._machine.results.open_handle() if page else 0
        return _list(complete, handle, [self._structures.result(r) for r in page])

    def _release(self, handle: int) -> Outputs:
        known = self._machine.results.release(handle)
        return [_code(MethodError.NONE if known else MethodError.UNKNOWN_HANDLE)]

    # ------------------------------------------------------------ safety and conditions

    def _safety(self, triggered: bool, information: str) -> Outputs:
        said = information or ""
        if len(said) > 1000:
            raise ArgumentError(f"a text of {len(said)} characters")
        return _error(self._machine.report_safety_state(triggered, said))

    def _confirm_all(self, comment: ua.LocalizedText | None) -> Outputs:
        self._machine.confirm_all(_comment(comment))
        return []

    def _answers(self) -> dict[str, Callable[[Grade, int, Comment], Answer]]:
        return {
            "Acknowledge": self._machine.acknowledge,
            "Confirm": self._machine.confirm,
            "AddComment": self._machine.comment,
        }

    def _condition(self, grade: Grade, answer: Callable[[Grade, int, Comment], Answer]) -> Handler:
        def call(event_id: bytes | None, comment: ua.LocalizedText | None) -> Outputs:
            known = self._events.get(bytes(event_id or b""))
            if known is None or known[0] is not grade:
                return status(Answer.UNKNOWN_EVENT.value)
            result = answer(grade, known[1], _comment(comment))
            return [] if result is Answer.DONE else status(result.value)

        return call


def _session() -> str:
    who = compat.caller()
    return "" if who is None else who.session


def _comment(said: ua.LocalizedText | None) -> Comment:
    who = compat.caller()
    shown = (said.Text or "", said.Locale or "") if said is not None else ("", "")
    if max(map(len, shown)) > 1000:
        raise ArgumentError("a comment of more than 1000 characters")
    return (*shown, "" if who is None else who.user)


def _refused(reply: Reply) -> ua.StatusCode | None:
    return None if reply.refusal is None else status(reply.refusal.value)


def _error(reply: Reply) -> Outputs:
    return _refused(reply) or [_code(reply.error)]


def _code(error: MethodError) -> ua.Variant:
    return scalar(int(error), _INT)


def _page(found: Sequence[T], limit: int, start: int) -> tuple[bool, Sequence[T]]:
    size = min(limit or PAGE, PAGE)
    return start + size >= len(found), found[start : start + size]


def _list(complete: bool, handle: int, found: Sequence[Any]) -> Outputs:
    count = scalar(len(found), _UINT)
    return [scalar(complete, _BOOL), count, scalar(handle, _UINT), array(found, _STRUCTURE), _code(MethodError.NONE)]
