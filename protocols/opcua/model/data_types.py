"""The data types of OPC 40100-1 §12. Pure.

    NAME ID < SUPERTYPE [abstract] [BINARY XML : BINARY XML]     encodings : their entries in the type dictionaries
        FIELD[?] TYPE[[DIMENSION]]                               ? optional, [] an array
    NAME ID enum ENUM_VALUES_ID
        MEMBER VALUE

A structure begins with the fields of its supertype, in the tables as on the wire.
"""

DATA_TYPES = """
TrimmedString 3017 < String
Handle 3018 < UInt32
ResultStateDataType 3009 < Int32
TriStateBooleanDataType 3014 enum 6367
    FALSE_0 0
    TRUE_1 1
    DONTCARE_2 2
SystemStateDataType 3023 enum 6032
    PRD_1 1
    SBY_2 2
    ENG_3 3
    SDT_4 4
    UDT_5 5
    NST_6 6
BinaryIdBaseDataType 3019 < Structure abstract 5027 5271 : 6033 6034
    Id TrimmedString
    Version? TrimmedString
    Hash? ByteString
    HashAlgorithm? String
    Description? LocalizedText
RecipeIdExternalDataType 3002 < BinaryIdBaseDataType 5002 5003 : 6021 6022
RecipeIdInternalDataType 3013 < BinaryIdBaseDataType 5268 5269 : 6035 6036
ConfigurationIdDataType 3008 < BinaryIdBaseDataType 5090 5091 : 6354 6355
JobIdDataType 3016 < Structure 5008 5026 : 6030 6031
    Id TrimmedString
MeasIdDataType 3015 < Structure 5006 5007 : 6028 6029
    Id TrimmedString
    Description? LocalizedText
PartIdDataType 3004 < Structure 5013 5014 : 6072 6073
    Id TrimmedString
    Description? LocalizedText
ProductIdDataType 3003 < Structure 5224 5225 : 6071 6093
    Id TrimmedString
    Description? LocalizedText
ResultIdDataType 3021 < Structure 5274 5275 : 6039 6040
    Id TrimmedString
ProductDataType 3020 < Structure 5272 5273 : 6037 6038
    ExternalId ProductIdDataType
ConfigurationDataType 3007 < Structure 5088 5089 : 6352 6353
    HasTransferableDataOnFile? Boolean
    ExternalId? ConfigurationIdDataType
    InternalId ConfigurationIdDataType
    LastModified UtcTime
ProcessingTimesDataType 3005 < Structure 5016 5017 : 6074 6075
    StartTime UtcTime
    EndTime UtcTime
    AcquisitionDuration? Duration
    ProcessingDuration? Duration
ResultDataType 3006 < Structure 5018 5019 : 6076 6077
    ResultId ResultIdDataType
    HasTransferableDataOnFile? Boolean
    IsPartial Boolean
    IsSimulated? Boolean
    ResultState ResultStateDataType
    MeasId? MeasIdDataType
    PartId? PartIdDataType
    ExternalRecipeId? RecipeIdExternalDataType
    InternalRecipeId RecipeIdInternalDataType
    ProductId? ProductIdDataType
    ExternalConfigurationId? ConfigurationIdDataType
    InternalConfigurationId ConfigurationIdDataType
    JobId JobIdDataType
    CreationTime UtcTime
    ProcessingTimes? ProcessingTimesDataType
    ResultContent? BaseDataType[1]
SystemStateDescriptionDataType 3024 < Structure 5278 5279 : 6130 6131
    State SystemStateDataType
    StateDescription? TrimmedString
ConfigurationTransferOptions 3011 < Structure 5246 5247 : 6125 6126
    InternalId ConfigurationIdDataType
RecipeTransferOptions 3012 < Structure 5248 5249 : 6188 6189
    InternalId RecipeIdInternalDataType
ResultTransferOptions 3022 < Structure 5276 5277 : 6127 6128
    Id ResultIdDataType
"""
