/* What of a graphics pipeline is set while recording: VK_EXT_extended_dynamic_state, VK_EXT_extended_dynamic_state2,
 * VK_EXT_color_write_enable (which counts as used where it is enabled). */
#include "migrate/icd/command.h"
#include "migrate/icd/stream.h"

static struct wire_writer *first(VkCommandBuffer handle)
{
	struct icd_command_buffer *cb = ICD_FROM(icd_command_buffer, handle);
	icd_need_extension(cb->device, ICD_EXT_extended_dynamic_state);
	return &cb->writer;
}

static struct wire_writer *second(VkCommandBuffer handle)
{
	struct icd_command_buffer *cb = ICD_FROM(icd_command_buffer, handle);
	icd_need_extension(cb->device, ICD_EXT_extended_dynamic_state2);
	return &cb->writer;
}

VKAPI_ATTR void VKAPI_CALL icd_CmdSetCullModeEXT(VkCommandBuffer handle, VkCullModeFlags mode)
{
	wire_encode_vkCmdSetCullMode(first(handle), mode);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdSetFrontFaceEXT(VkCommandBuffer handle, VkFrontFace face)
{
	wire_encode_vkCmdSetFrontFace(first(handle), face);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdSetPrimitiveTopologyEXT(VkCommandBuffer handle, VkPrimitiveTopology topology)
{
	wire_encode_vkCmdSetPrimitiveTopology(first(handle), topology);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdSetViewportWithCountEXT(
	VkCommandBuffer handle, uint32_t count, const VkViewport *viewports)
{
	wire_encode_vkCmdSetViewportWithCount(first(handle), count, viewports);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdSetScissorWithCountEXT(VkCommandBuffer handle, uint32_t count, const VkRect2D *scissors)
{
	wire_encode_vkCmdSetScissorWithCount(first(handle), count, scissors);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdBindVertexBuffers2EXT(VkCommandBuffer handle, uint32_t first_binding, uint32_t count,
	const VkBuffer *buffers, const VkDeviceSize *offsets, const VkDeviceSize *sizes, const VkDeviceSize *strides)
{
	for (uint32_t i = 0; i < count; i++)
		icd_read_rest(ICD_FROM(icd_command_buffer, handle), buffers[i], offsets[i]);
	wire_encode_vkCmdBindVertexBuffers2(first(handle), first_binding, count, buffers, offsets, sizes, strides);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdSetDepthTestEnableEXT(VkCommandBuffer handle, VkBool32 enable)
{
	wire_encode_vkCmdSetDepthTestEnable(first(handle), enable);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdSetDepthWriteEnableEXT(VkCommandBuffer handle, VkBool32 enable)
{
	wire_encode_vkCmdSetDepthWriteEnable(first(handle), enable);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdSetDepthCompareOpEXT(VkCommandBuffer handle, VkCompareOp op)
{
	wire_encode_vkCmdSetDepthCompareOp(first(handle), op);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdSetDepthBoundsTestEnableEXT(VkCommandBuffer handle, VkBool32 enable)
{
	wire_encode_vkCmdSetDepthBoundsTestEnable(first(handle), enable);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdSetStencilTestEnableEXT(VkCommandBuffer handle, VkBool32 enable)
{
	wire_encode_vkCmdSetStencilTestEnable(first(handle), enable);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdSetStencilOpEXT(VkCommandBuffer handle, VkStencilFaceFlags faces, VkStencilOp fail,
	VkStencilOp pass, VkStencilOp depth_fail, VkCompareOp compare)
{
	wire_encode_vkCmdSetStencilOp(first(handle), faces, fail, pass, depth_fail, compare);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdSetRasterizerDiscardEnableEXT(VkCommandBuffer handle, VkBool32 enable)
{
	wire_encode_vkCmdSetRasterizerDiscardEnable(second(handle), enable);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdSetDepthBiasEnableEXT(VkCommandBuffer handle, VkBool32 enable)
{
	wire_encode_vkCmdSetDepthBiasEnable(second(handle), enable);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdSetPrimitiveRestartEnableEXT(VkCommandBuffer handle, VkBool32 enable)
{
	wire_encode_vkCmdSetPrimitiveRestartEnable(second(handle), enable);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdSetColorWriteEnableEXT(VkCommandBuffer handle, uint32_t count, const VkBool32 *enables)
{
	wire_encode_vkCmdSetColorWriteEnableEXT(&ICD_FROM(icd_command_buffer, handle)->writer, count, enables);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdSetLogicOpEXT(VkCommandBuffer handle, VkLogicOp op)
{
	struct icd_command_buffer *cb = ICD_FROM(icd_command_buffer, handle);
	ICD_NEED_FEATURE(cb->device, EXTENDED_DYNAMIC_STATE_2_FEATURES_EXT, ExtendedDynamicState2FeaturesEXT,
		extendedDynamicState2LogicOp);
	wire_encode_vkCmdSetLogicOpEXT(second(handle), op);
}
