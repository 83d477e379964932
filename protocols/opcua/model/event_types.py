"""The event and condition types of OPC 40100-1 §11. Pure; table_language tells how to read the rows."""

EVENT_TYPES = """
StateChangedEventType 1018 < TransitionEventType
ErrorEventType 1019 < TransitionEventType
ErrorResolvedEventType 1020 < TransitionEventType
JobStartedEventType 1013 < BaseEventType
    JobId 6141 M . JobIdDataType
ReadyEventType 1023 < BaseEventType
    JobId 6294 M . JobIdDataType
RecipePreparedEventType 1022 < BaseEventType
    ExternalId 6291 O . RecipeIdExternalDataType
    InternalId 6140 M . RecipeIdInternalDataType
    ProductId 6292 O . ProductIdDataType
AcquisitionDoneEventType 1025 < BaseEventType
    JobId 6308 M . JobIdDataType
ResultReadyEventType 1024 < BaseEventType
    CreationTime 6303 M . UtcTime
    ExternalConfigurationId 6045 O . ConfigurationIdDataType
    ExternalRecipeId 6301 O . RecipeIdExternalDataType
    InternalConfigurationId 6142 M . ConfigurationIdDataType
    InternalRecipeId 6302 M . RecipeIdInternalDataType
    IsPartial 6296 M . Boolean
    IsSimulated 6297 O . Boolean
    JobId 6300 M . JobIdDataType
    MeasId 6299 O . MeasIdDataType
    PartId 6304 O . PartIdDataType
    ProcessingTimes 6305 O . ProcessingTimesDataType
    ProductId 6143 O . ProductIdDataType
    ResultContent 6306 O . BaseDataType[0]
    ResultId 6295 M . ResultIdDataType
    ResultState 6298 M . ResultStateDataType
EnterStepSequenceEventType 1027 < BaseEventType
    Steps 6322 M . Int32
NextStepEventType 1028 < BaseEventType
    Step 6324 M . Int32
LeaveStepSequenceEventType 1029 < BaseEventType
VisionSafetyEventType 1030 < BaseEventType
    VisionSafetyInformation 6050 M . String
    VisionSafetyTriggered 6051 M . Boolean
VisionEventType 1015 < BaseEventType abstract
    CausePath 6193 O . String
    ExternalConfigurationId 6550 O . ConfigurationIdDataType
    ExternalRecipeId 6195 O . RecipeIdExternalDataType
    InternalConfigurationId 6200 O . ConfigurationIdDataType
    InternalRecipeId 6198 O . RecipeIdInternalDataType
    JobId 6203 O . JobIdDataType
    MeasId 6194 O . MeasIdDataType
    PartId 6201 O . PartIdDataType
    ProductId 6199 O . ProductIdDataType
    ResultId 6204 O . ResultIdDataType
VisionDiagnosticInfoEventType 1037 < VisionEventType
VisionInformationEventType 1038 < VisionEventType
VisionConditionType 1033 < AcknowledgeableConditionType abstract
    BlockReaction 6206 M . Boolean
    CausePath 6207 O . String
    ErrorCode 6208 O . UInt64
    ErrorString 6283 O . String
    ExternalConfigurationId 6347 O . ConfigurationIdDataType
    ExternalRecipeId 6346 O . RecipeIdExternalDataType
    InternalConfigurationId 6192 O . ConfigurationIdDataType
    InternalRecipeId 6321 O . RecipeIdInternalDataType
    JobId 6343 O . JobIdDataType
    MeasId 6344 O . MeasIdDataType
    PartId 6307 O . PartIdDataType
    ProductId 6323 O . ProductIdDataType
    ResultId 6345 O . ResultIdDataType
    StopReaction 6293 M . Boolean
VisionWarningConditionType 1034 < VisionConditionType
VisionErrorConditionType 1035 < VisionConditionType
VisionPersistentErrorConditionType 1036 < VisionConditionType
"""
