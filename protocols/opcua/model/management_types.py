"""Recipes, configurations, results and safety: the object types of OPC 40100-1 §7, ResultType of §9. Pure."""

MANAGEMENT_TYPES = """
ConfigurationManagementType 1006 < BaseObjectType
    ActivateConfiguration() 7048 M
        in 6116 InternalId ConfigurationIdDataType
        out 6117 Error Int32
    ActiveConfiguration 6132 M = ConfigurationDataType
    AddConfiguration() 7025 O
        in 6096 ExternalId ConfigurationIdDataType
        out 6097 InternalId ConfigurationIdDataType, Configuration NodeId, TransferRequired Boolean, Error Int32
    Configurations 5010 O : ConfigurationFolderType
    ConfigurationTransfer 5266 6599 7012 6337 6338 7029 6339 6340 7113 6600 6601 O : ConfigurationTransferType
    GetConfigurationById() 7041 M
        in 6100 InternalId ConfigurationIdDataType, Timeout Int32
        out 6101 ConfigurationHandle Handle, Configuration ConfigurationDataType, Error Int32
    GetConfigurationList() 7045 M
        in 6104 MaxResults UInt32, StartIndex UInt32, Timeout Int32
        out 6105 IsComplete Boolean, ResultCount UInt32, ConfigurationHandle Handle,
            ConfigurationList ConfigurationDataType[], Error Int32
    ReleaseConfigurationHandle() 7046 O
        in 6108 ConfigurationHandle Handle
        out 6109 Error Int32
    RemoveConfiguration() 7047 O
        in 6112 InternalId ConfigurationIdDataType
        out 6113 Error Int32
RecipeManagementType 1004 < BaseObjectType
    AddRecipe() 7013 O
        in 6144 ExternalId RecipeIdExternalDataType, ProductId ProductIdDataType
        out 6145 InternalId RecipeIdInternalDataType, Recipe NodeId, Product NodeId, TransferRequired Boolean,
            Error Int32
    GetRecipeListFiltered() 7014 M
        in 6156 ExternalId RecipeIdExternalDataType, ProductId ProductIdDataType,
            IsPrepared TriStateBooleanDataType, MaxResults UInt32, StartIndex UInt32, Timeout Int32
        out 6157 IsComplete Boolean, ResultCount UInt32, RecipeHandle Handle,
            RecipeList RecipeIdInternalDataType[], Error Int32
    PrepareProduct() 7060 O
        in 6172 ProductId ProductIdDataType
        out 6173 InternalId RecipeIdInternalDataType, Error Int32
    PrepareRecipe() 7015 M
        in 6148 ExternalId RecipeIdExternalDataType, InternalIdIn RecipeIdInternalDataType
        out 6149 InternalIdOut RecipeIdInternalDataType, IsCompleted Boolean, Error Int32
    Products 5022 O : ProductFolderType
        <Product> 6622 M
    Recipes 5005 O : RecipeFolderType
    RecipeTransfer 5264 6585 7118 6186 6187 7119 6588 6589 7115 6586 6587 O : RecipeTransferType
    ReleaseRecipeHandle() 7056 O
        in 6160 RecipeHandle Handle
        out 6161 Error Int32
    RemoveRecipe() 7057 O
        in 6164 ExternalId RecipeIdExternalDataType
        out 6165 Error Int32
    UnlinkProduct() 7061 O
        in 6180 InternalId RecipeIdInternalDataType, ProductId ProductIdDataType
        out 6181 Error Int32
    UnprepareProduct() 7059 O
        in 6176 ProductId ProductIdDataType
        out 6177 InternalId RecipeIdInternalDataType, Error Int32
    UnprepareRecipe() 7055 M
        in 6152 ExternalId RecipeIdExternalDataType, InternalIdIn RecipeIdInternalDataType
        out 6153 InternalIdOut RecipeIdInternalDataType, Error Int32
ResultManagementType 1007 < BaseObjectType
    GetResultById() 7026 M
        in 6209 ResultId ResultIdDataType, Timeout Int32
        out 6210 ResultHandle Handle, Result ResultDataType, Error Int32
    GetResultComponentsById() 7007 M
        in 6024 ResultId ResultIdDataType, Timeout Int32
        out 6025 HasTransferableDataOnFile Boolean, ResultHandle Handle, IsPartial Boolean, IsSimulated Boolean,
            ResultState ResultStateDataType, MeasId MeasIdDataType, PartId PartIdDataType,
            ExternalRecipeId RecipeIdExternalDataType, InternalRecipeId RecipeIdInternalDataType,
            ProductId ProductIdDataType, ExternalConfigurationId ConfigurationIdDataType,
            InternalConfigurationId ConfigurationIdDataType, JobId JobIdDataType, CreationTime UtcTime,
            ProcessingTimes ProcessingTimesDataType, ResultContent BaseDataType[], Error Int32
    GetResultListFiltered() 7089 M
        in 6213 ResultState ResultStateDataType, MeasId MeasIdDataType, PartId PartIdDataType,
            ExternalRecipeId RecipeIdExternalDataType, InternalRecipeId RecipeIdInternalDataType,
            ExternalConfigurationId ConfigurationIdDataType, InternalConfigurationId ConfigurationIdDataType,
            ProductId ProductIdDataType, JobId JobIdDataType, MaxResults UInt32, StartIndex UInt32,
            Timeout Int32
        out 6214 IsComplete Boolean, ResultCount UInt32, ResultHandle Handle, ResultList ResultDataType[],
            Error Int32
    ReleaseResultHandle() 7090 O
        in 6217 ResultHandle Handle
        out 6218 Error Int32
    Results 5245 O : ResultFolderType
    ResultTransfer 5251 6543 7067 6541 6542 7077 6546 6547 7071 6544 6545 O : ResultTransferType
SafetyStateManagementType 1009 < BaseObjectType
    ReportSafetyState() 7043 M
        in 6222 SafetyTriggered Boolean, SafetyInformation String
        out 6223 Error Int32
    VisionSafetyInformation 6042 M = String
    VisionSafetyTriggered 6041 M = Boolean
RecipeType 1002 < BaseObjectType
    ExternalId 6023 O . RecipeIdExternalDataType
    Handle 5001 O : FileType
        Close 7001 6004
        GetPosition 7002 6005 6006
        Open 7003 6007 6008
        OpenCount 6009
        Read 7004 6010 6011
        SetPosition 7005 6012
        Size 6013
        UserWritable 6014
        Writable 6015
        Write 7006 6016
    InternalId 6019 M . RecipeIdInternalDataType
    IsPrepared 6605 M . Boolean
    LastModified 6017 M . UtcTime
    LinkedProducts 6018 O . ProductIdDataType[0]
    LinkProduct() 7062 O
        in 6190 ProductId ProductIdDataType
        out 6191 Error Int32
    Prepare() 7064 M
        out 6202 IsCompleted Boolean, Error Int32
    UnlinkProduct() 7063 O
        in 6196 ProductId ProductIdDataType
        out 6197 Error Int32
    Unprepare() 7065 M
        out 6205 Error Int32
ResultType 2002 < BaseDataVariableType
    CreationTime 6331 M = UtcTime
    ExternalConfigurationId 6328 O = ConfigurationIdDataType
    ExternalRecipeId 6095 O = RecipeIdExternalDataType
    HasTransferableDataOnFile 6047 O = Boolean
    InternalConfigurationId 6329 M = ConfigurationIdDataType
    InternalRecipeId 6284 M = RecipeIdInternalDataType
    IsPartial 6052 M = Boolean
    IsSimulated 6053 O = Boolean
    JobId 6330 M = JobIdDataType
    MeasId 6055 O = MeasIdDataType
    PartId 6094 O = PartIdDataType
    ProcessingTimes 6332 O = ProcessingTimesDataType
    ProductId 6327 O = ProductIdDataType
    ResultContent 6333 O = BaseDataType[1]
    ResultId 6046 M = ResultIdDataType
    ResultState 6054 M = ResultStateDataType
ConfigurationFolderType 1011 < FolderType
    <Configuration> 6120 OP = ConfigurationDataType
ProductFolderType 1010 < FolderType
    <Product> 6621 OP = ProductDataType
RecipeFolderType 1008 < FolderType
    <Recipe> 5270 OP : RecipeType
        ExternalId 6608
        InternalId 6609
        IsPrepared 6610
        LastModified 6611
        LinkedProducts 6612
        LinkProduct 7076 6613 6614
        Prepare 7114 6615
        UnlinkProduct 7120 6616 6619
        Unprepare 7121 6620
ResultFolderType 1016 < FolderType
    <ResultVariable> 6168 OP = ResultDataType : ResultType
        CreationTime 6334
        InternalConfigurationId 6335
        InternalRecipeId 6336
        IsPartial 6356
        JobId 6357
        ResultId 6379
        ResultState 6548
ConfigurationTransferType 1012 < TemporaryFileTransferType
    GenerateFileForRead() 7129 M
        in 6617 GenerateOptions ConfigurationTransferOptions
        out 6618 FileNodeId NodeId, FileHandle UInt32, CompletionStateMachine NodeId
    GenerateFileForWrite() 7130 M
        in 6121 GenerateOptions ConfigurationTransferOptions
        out 6122 FileNodeId NodeId, FileHandle UInt32
RecipeTransferType 1014 < TemporaryFileTransferType
    GenerateFileForRead() 7123 M
        in 6184 generateOptions RecipeTransferOptions
        out 6185 fileNodeId NodeId, fileHandle UInt32, completionStateMachine NodeId
    GenerateFileForWrite() 7124 M
        in 6583 GenerateOptions RecipeTransferOptions
        out 6584 FileNodeId NodeId, FileHandle UInt32
ResultTransferType 1039 < TemporaryFileTransferType
    GenerateFileForRead() 7058 M
        in 6169 GenerateOptions ResultTransferOptions
        out 6170 FileNodeId NodeId, FileHandle UInt32, CompletionStateMachine NodeId
"""
