"""VisionSystemType, OPC 40100-1 §7.1: mostly numbers, since its members have the layout of their types. Pure."""

VISION_SYSTEM = """
VisionSystemType 1003 < BaseObjectType
    ConfigurationManagement 5004 O : ConfigurationManagementType
        ActivateConfiguration 7008 6026 6027
        ActiveConfiguration 6043
        AddConfiguration 7054 6342 6348
        Configurations 5094
        ConfigurationTransfer 5093 6350 7069 6360 6361 7070 6362 6363 7068 6351 6359
        GetConfigurationById 7016 6044 6098
        GetConfigurationList 7017 6099 6102
        ReleaseConfigurationHandle 7072 6364 6365
        RemoveConfiguration 7073 6366 6368
    DiagnosticLevel 6048 O = UInt16
    RecipeManagement 5015 O : RecipeManagementType
        AddRecipe 7074 6369 6370
        GetRecipeListFiltered 7018 6103 6106
        PrepareProduct 7075 6371 6372
        PrepareRecipe 7031 6107 6110
        Products 5095
            <Product> 6373 M
        Recipes 5097
        RecipeTransfer 5096 6374 7079 6377 6378 7080 6380 6381 7078 6375 6376
        ReleaseRecipeHandle 7081 6382 6383
        RemoveRecipe 7082 6384 6385
        UnlinkProduct 7083 6386 6387
        UnprepareProduct 7084 6388 6389
        UnprepareRecipe 7032 6111 6114
    ResultManagement 5020 O : ResultManagementType
        GetResultById 7033 6115 6118
        GetResultComponentsById 7034 6119 6123
        GetResultListFiltered 7035 6124 6133
        ReleaseResultHandle 7085 6391 6392
        Results 5099
        ResultTransfer 5098 6393 7087 6396 6397 7088 6398 6399 7086 6394 6395
    SafetyStateManagement 5023 O : SafetyStateManagementType
        ReportSafetyState 7036 6146 6147
        VisionSafetyInformation 6150
        VisionSafetyTriggered 6151
    SystemState 6049 O = SystemStateDescriptionDataType
    VisionStateMachine 5053 M : VisionStateMachineType
        AutomaticModeStateMachine 5100
            Abort 7092 6405 6406
            ContinuousExecutionStepModel 5102 6416 6417 7104 6418 6419
            CurrentState 6407 6408
            InitializedStepModel 5103 6420 6421 7105 6422 6423
            ReadyStepModel 5104 6424 6425 7106 6426 6427
            SimulationMode 7107 6428 6429
            SingleExecutionStepModel 5105 6430 6431 7108 6432 6433
            StartContinuous 7099 6409 6410
            StartSingleJob 7102 6411 6412
            Stop 7103 6413 6414
        ConfirmAll 7049 6216
        CurrentState 6162 6163
        Error 5107 6435 M
        ErrorStepModel 5075 6219 6220 7050 6224 6225
        Halt 7037 6154 6155
        Halted 5106 6434 M
        HaltedStepModel 5076 6244 6250 7051 6251 6253
        Operational 5108 6436 M
        Preoperational 5101 6415 M
        PreoperationalStepModel 5077 6277 6278 7052 6279 6280
        Reset 7038 6158 6159
        SelectModeAutomatic 7053 6325
"""
