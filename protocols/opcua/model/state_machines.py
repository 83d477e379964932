"""The three state machines of OPC 40100-1 §8: states, transitions, causes, effects, methods. Pure.

    NUMBER NAME ID STATE_NUMBER_ID [initial]                              a state
    NUMBER NAME ID TRANSITION_NUMBER_ID [with EVENT …] [by [TYPE.]METHOD]  a transition

A transition's number is from · 100 + to · 10 + variant (from · 1000 where states have two digits); the variant is 0 for
a transition of its own accord. Each has the effect StateChanged; `with` names what else. `of STATE` hangs a machine
below a state. Initialized is a state of the inner machine: the two transitions that end there cross the border.
"""

STATE_MACHINES = """
FromTransition 4002 < NonHierarchicalReferences
ToTransition 4003 < NonHierarchicalReferences
VisionStateMachineType 1017 < FiniteStateMachineType
    1 Preoperational 5028 6226
    2 Halted 5029 6227
    3 Error 5030 6228
    4 Operational 5031 6229
    120 PreoperationalToHaltedAuto 5033 6231
    121 PreoperationalToHalted 5032 6230 by Halt
    130 PreoperationalToErrorAuto 5034 6232 with Error
    140 PreoperationalToOperationalAuto 5254 6221
    141 PreoperationalToOperational 5253 6171 by SelectModeAutomatic
    150 PreoperationalToInitializedAuto 5036 6234
    151 PreoperationalToInitialized 5035 6233 by SelectModeAutomatic
    210 HaltedToPreoperationalAuto 5038 6236
    211 HaltedToPreoperational 5037 6235 by Reset
    310 ErrorToPreoperationalAuto 5040 6238
    311 ErrorToPreoperational 5039 6237 by Reset
    320 ErrorToHaltedAuto 5042 6240
    321 ErrorToHalted 5041 6239 by Halt
    340 ErrorToOperationalAuto 5255 6341 with ErrorResolved
    410 OperationalToPreoperationalAuto 5048 6246
    411 OperationalToPreoperational 5047 6245 by Reset
    420 OperationalToHaltedAuto 5050 6248
    421 OperationalToHalted 5049 6247 by Halt
    430 OperationalToErrorAuto 5051 6249
    AutomaticModeStateMachine 5024 O : VisionAutomaticModeStateMachineType of Operational
        Abort 7020 6065 6066
        ContinuousExecutionStepModel 5025 6082 6166 7039 6167 6174
        CurrentState 6080 6081
        InitializedStepModel 5055 6175 6178 7040 6179 6182
        ReadyStepModel 5074 6183 6211 7042 6212 6215
        SimulationMode 7044 6326 6400
        SingleExecutionStepModel 5092 6401 6402 7091 6403 6404
        StartContinuous 7021 6067 6068
        StartSingleJob 7022 6069 6070
        Stop 7023 6078 6079
    ConfirmAll() 7066 O
        in 6241 Comment LocalizedText
    ErrorStepModel 5054 6358 6390 7019 6252 6349 O : VisionStepModelStateMachineType of Error
    Halt() 7094 M
        in 6254 Cause Int32, CauseDescription String
        out 6255 Error Int32
    HaltedStepModel 5011 6058 6060 7010 6056 6057 O : VisionStepModelStateMachineType of Halted
    PreoperationalStepModel 5012 6063 6064 7011 6061 6062 O : VisionStepModelStateMachineType of Preoperational
    Reset() 7093 M
        in 6256 Cause Int32, CauseDescription String
        out 6257 Error Int32
    SelectModeAutomatic() 7095 O
        out 6258 Error Int32
VisionAutomaticModeStateMachineType 1021 < FiniteStateMachineType
    5 Initialized 5056 6259
    6 Ready 5057 6260
    7 SingleExecution 5058 6261
    8 ContinuousExecution 5059 6262
    560 InitializedToReadyAuto 5061 6264
    561 InitializedToReadyRecipe 5060 6263 with RecipePrepared by RecipeManagementType.PrepareRecipe
    562 InitializedToReadyProduct 5045 6084 with RecipePrepared by RecipeManagementType.PrepareProduct
    650 ReadyToInitializedAuto 5063 6266
    651 ReadyToInitializedRecipe 5062 6265 by RecipeManagementType.UnprepareRecipe
    652 ReadyToInitializedProduct 5044 6243 by RecipeManagementType.UnprepareProduct
    670 ReadyToSingleExecutionAuto 5065 6268 with JobStarted
    671 ReadyToSingleExecution 5064 6267 with JobStarted by StartSingleJob
    680 ReadyToContinuousExecutionAuto 5067 6270 with JobStarted
    681 ReadyToContinuousExecution 5066 6269 with JobStarted by StartContinuous
    760 SingleExecutionToReadyAuto 5070 6273 with Ready
    761 SingleExecutionToReadyStop 5068 6271 with Ready by Stop
    762 SingleExecutionToReadyAbort 5069 6272 with Ready by Abort
    860 ContinuousExecutionToReadyAuto 5073 6276 with Ready
    861 ContinuousExecutionToReadyStop 5071 6274 with Ready by Stop
    862 ContinuousExecutionToReadyAbort 5072 6275 with Ready by Abort
    Abort() 7097 M
        in 6285 Cause Int32, CauseDescription String
        out 6286 Error Int32
    ContinuousExecutionStepModel 5021 6085 6088 7024 6059 6083 O \
        : VisionStepModelStateMachineType of ContinuousExecution
    InitializedStepModel 5043 6091 6092 7027 6089 6090 O : VisionStepModelStateMachineType of Initialized
    ReadyStepModel 5046 6135 6136 7028 6129 6134 O : VisionStepModelStateMachineType of Ready
    SimulationMode() 7100 O
        in 6289 Activate Boolean, Cause Int32, CauseDescription String
        out 6290 Error Int32
    SingleExecutionStepModel 5052 6139 6242 7030 6137 6138 O : VisionStepModelStateMachineType of SingleExecution
    StartContinuous() 7009 M
        in 6086 MeasId MeasIdDataType, PartId PartIdDataType, RecipeId RecipeIdExternalDataType,
            ProductId ProductIdDataType, Parameters BaseDataType[]
        out 6087 JobId JobIdDataType, Error Int32
    StartSingleJob() 7098 M
        in 6281 MeasId MeasIdDataType, PartId PartIdDataType, RecipeId RecipeIdExternalDataType,
            ProductId ProductIdDataType, Parameters BaseDataType[]
        out 6282 JobId JobIdDataType, Error Int32
    Stop() 7096 M
        in 6287 Cause Int32, CauseDescription String
        out 6288 Error Int32
VisionStepModelStateMachineType 1026 < FiniteStateMachineType
    11 Entry 5078 6309 initial
    12 Exit 5079 6310
    13 Wait 5080 6311
    14 Step 5081 6312
    11120 EntryToExitAuto 5082 6313
    11130 EntryToWaitAuto 5083 6314 with EnterStepSequence
    13140 WaitToStepAuto 5085 6316
    13141 WaitToStep 5084 6315 by Sync
    14120 StepToExitAuto 5087 6318 with LeaveStepSequence
    14130 StepToWaitAuto 5086 6317 with NextStep
    Sync() 7101 M
        in 6319 Cause Int32, CauseDescription String
        out 6320 Error Int32
"""
