"""What the OPC UA core declares and the model builds on: numbers of namespace 0 and the members that get copied. Pure.

Numbers: NodeIds.csv of OPC 10000-6, Annex A; members: OPC 10000-5 and 10000-16 (state machines), 10000-20 (files).
"""

CORE = {
    "HasModellingRule": 37,
    "HasEncoding": 38,
    "HasDescription": 39,
    "HasTypeDefinition": 40,
    "HasSubtype": 45,
    "HasProperty": 46,
    "HasComponent": 47,
    "FromState": 51,
    "ToState": 52,
    "HasCause": 53,
    "HasEffect": 54,
    "HasSubStateMachine": 117,
    "NonHierarchicalReferences": 32,
    "Mandatory": 78,
    "Optional": 80,
    "OptionalPlaceholder": 11508,
    "BaseDataType": 24,
    "Boolean": 1,
    "Byte": 3,
    "UInt16": 5,
    "Int32": 6,
    "UInt32": 7,
    "UInt64": 9,
    "String": 12,
    "DateTime": 13,
    "ByteString": 15,
    "NodeId": 17,
    "LocalizedText": 21,
    "Structure": 22,
    "Enumeration": 29,
    "IdType": 256,
    "Duration": 290,
    "NumericRange": 291,
    "UtcTime": 294,
    "Argument": 296,
    "EnumValueType": 7594,
    "BaseObjectType": 58,
    "FolderType": 61,
    "BaseDataVariableType": 63,
    "PropertyType": 68,
    "DataTypeDescriptionType": 69,
    "DataTypeDictionaryType": 72,
    "DataTypeEncodingType": 76,
    "BaseEventType": 2041,
    "TransitionEventType": 2311,
    "AcknowledgeableConditionType": 2881,
    "NamespaceMetadataType": 11616,
    "XML Schema": 92,
    "OPC Binary": 93,
    "Namespaces": 11715,
}

CORE_TABLE = """
FiniteStateVariableType 2760
    Id M . NodeId
FiniteStateMachineType 2771
    CurrentState M = LocalizedText : FiniteStateVariableType
StateType 2307
    StateNumber M . UInt32
InitialStateType 2309 < StateType
TransitionType 2310
    TransitionNumber M . UInt32
FileType 11575
    Size M . UInt64
    Writable M . Boolean
    UserWritable M . Boolean
    OpenCount M . UInt16
    Open() M
        in Mode Byte
        out FileHandle UInt32
    Close() M
        in FileHandle UInt32
    Read() M
        in FileHandle UInt32, Length Int32
        out Data ByteString
    Write() M
        in FileHandle UInt32, Data ByteString
    GetPosition() M
        in FileHandle UInt32
        out Position UInt64
    SetPosition() M
        in FileHandle UInt32, Position UInt64
TemporaryFileTransferType 15744
    ClientProcessingTimeout M . Duration
    GenerateFileForRead() M
        in GenerateOptions BaseDataType
        out FileNodeId NodeId, FileHandle UInt32, CompletionStateMachine NodeId
    GenerateFileForWrite() M
        in GenerateOptions BaseDataType
        out FileNodeId NodeId, FileHandle UInt32
    CloseAndCommit() M
        in FileHandle UInt32
        out CompletionStateMachine NodeId
"""
