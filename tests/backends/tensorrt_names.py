"""Which TensorRT has which of the names that the backend uses.

Full TensorRT cannot be installed where the tests run. Its columns were read from the sources of its Python
bindings (NVIDIA/TensorRT, python/src, 10.1, 10.16, 11.0 and 11.1); the one of TensorRT-RTX is held against the
installed package.
"""

from __future__ import annotations

_ALL = """
    Builder
    Builder.build_serialized_network
    Builder.create_builder_config
    Builder.create_network
    Builder.create_optimization_profile
    EngineInspector.get_engine_information
    IBuilderConfig.add_optimization_profile
    IBuilderConfig.builder_optimization_level
    IBuilderConfig.create_timing_cache
    IBuilderConfig.profiling_verbosity
    IBuilderConfig.set_memory_pool_limit
    IBuilderConfig.set_timing_cache
    ICudaEngine.create_engine_inspector
    ICudaEngine.create_execution_context
    ICudaEngine.device_memory_size_v2
    ICudaEngine.get_tensor_dtype
    ICudaEngine.get_tensor_location
    ICudaEngine.get_tensor_mode
    ICudaEngine.get_tensor_name
    ICudaEngine.num_io_tensors
    IExecutionContext.execute_async_v3
    IExecutionContext.get_tensor_shape
    IExecutionContext.infer_shapes
    IExecutionContext.profiler
    IExecutionContext.set_input_shape
    IExecutionContext.set_tensor_address
    ILogger
    INetworkDefinition.get_input
    INetworkDefinition.get_output
    INetworkDefinition.num_inputs
    INetworkDefinition.num_layers
    INetworkDefinition.num_outputs
    IOptimizationProfile.set_shape
    IOptimizationProfile.set_shape_input
    IProfiler
    ITensor.dtype
    ITensor.get_dimension_name
    ITensor.is_shape_tensor
    ITensor.name
    ITensor.shape
    ITimingCache.serialize
    LayerInformationFormat.JSON
    MemoryPoolType.WORKSPACE
    NetworkDefinitionCreationFlag.STRONGLY_TYPED
    OnnxParser
    OnnxParser.get_error
    OnnxParser.num_errors
    OnnxParser.parse
    OnnxParser.parse_from_file
    ParserError.code
    ParserError.desc
    ParserError.node
    ParserError.node_name
    ParserError.node_operator
    ProfilingVerbosity.DETAILED
    Runtime
    Runtime.deserialize_cuda_engine
    TensorIOMode.INPUT
    TensorLocation.HOST
"""
_RTX_ONLY = """
    ComputeCapability
    DynamicShapesKernelSpecializationStrategy.EAGER
    IBuilderConfig.num_compute_capabilities
    IBuilderConfig.set_compute_capability
    ICudaEngine.create_runtime_config
    IExecutionContext.is_stream_capturable
    IRuntimeConfig.dynamic_shapes_kernel_specialization_strategy
"""

EVERYWHERE = frozenset(_ALL.split())
# create_runtime_config came to TensorRT during 10.x: it is not relied on there.
RTX_ONLY = frozenset(_RTX_ONLY.split())
