/* Recording of draws and of what they use: vertex and index buffers, dynamic state. */
#include "migrate/icd/command.h"
#include "migrate/icd/stream.h"

static struct icd_command_buffer *buffer_of(VkCommandBuffer handle)
{
	return ICD_FROM(icd_command_buffer, handle);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdSetViewport(
	VkCommandBuffer handle, uint32_t first, uint32_t count, const VkViewport *viewports)
{
	wire_encode_vkCmdSetViewport(&buffer_of(handle)->writer, first, count, viewports);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdSetScissor(
	VkCommandBuffer handle, uint32_t first, uint32_t count, const VkRect2D *scissors)
{
	wire_encode_vkCmdSetScissor(&buffer_of(handle)->writer, first, count, scissors);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdSetLineWidth(VkCommandBuffer handle, float width)
{
	wire_encode_vkCmdSetLineWidth(&buffer_of(handle)->writer, width);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdSetDepthBias(VkCommandBuffer handle, float constant, float clamp, float slope)
{
	wire_encode_vkCmdSetDepthBias(&buffer_of(handle)->writer, constant, clamp, slope);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdSetBlendConstants(VkCommandBuffer handle, const float constants[4])
{
	wire_encode_vkCmdSetBlendConstants(&buffer_of(handle)->writer, constants);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdSetDepthBounds(VkCommandBuffer handle, float least, float most)
{
	wire_encode_vkCmdSetDepthBounds(&buffer_of(handle)->writer, least, most);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdSetStencilCompareMask(VkCommandBuffer handle, VkStencilFaceFlags faces, uint32_t mask)
{
	wire_encode_vkCmdSetStencilCompareMask(&buffer_of(handle)->writer, faces, mask);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdSetStencilWriteMask(VkCommandBuffer handle, VkStencilFaceFlags faces, uint32_t mask)
{
	wire_encode_vkCmdSetStencilWriteMask(&buffer_of(handle)->writer, faces, mask);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdSetStencilReference(VkCommandBuffer handle, VkStencilFaceFlags faces, uint32_t reference)
{
	wire_encode_vkCmdSetStencilReference(&buffer_of(handle)->writer, faces, reference);
}

void icd_read_rest(struct icd_command_buffer *cb, VkBuffer buffer, VkDeviceSize offset)
{
	const struct icd_buffer *b = ICD_FROM(icd_buffer, buffer);
	if (b && offset < b->size)
		icd_analyse_read(cb, b, offset, b->size - offset);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdBindIndexBuffer(
	VkCommandBuffer handle, VkBuffer buffer, VkDeviceSize offset, VkIndexType type)
{
	struct icd_command_buffer *cb = buffer_of(handle);
	icd_read_rest(cb, buffer, offset);
	if (type == VK_INDEX_TYPE_UINT8_EXT)
		icd_need_extension(cb->device, ICD_EXT_index_type_uint8);
	wire_encode_vkCmdBindIndexBuffer(&cb->writer, buffer, offset, type);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdBindVertexBuffers(
	VkCommandBuffer handle, uint32_t first, uint32_t count, const VkBuffer *buffers, const VkDeviceSize *offsets)
{
	struct icd_command_buffer *cb = buffer_of(handle);
	for (uint32_t i = 0; i < count; i++)
		icd_read_rest(cb, buffers[i], offsets[i]);
	wire_encode_vkCmdBindVertexBuffers(&cb->writer, first, count, buffers, offsets);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdDraw(VkCommandBuffer handle, uint32_t vertex_count, uint32_t instance_count,
	uint32_t first_vertex, uint32_t first_instance)
{
	struct icd_command_buffer *cb = buffer_of(handle);
	icd_analyse_use(cb, &cb->graphics);
	wire_encode_vkCmdDraw(&cb->writer, vertex_count, instance_count, first_vertex, first_instance);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdDrawIndexed(VkCommandBuffer handle, uint32_t index_count, uint32_t instance_count,
	uint32_t first_index, int32_t vertex_offset, uint32_t first_instance)
{
	struct icd_command_buffer *cb = buffer_of(handle);
	icd_analyse_use(cb, &cb->graphics);
	wire_encode_vkCmdDrawIndexed(&cb->writer, index_count, instance_count, first_index, vertex_offset, first_instance);
}

/* The commands of an indirect draw. */
static void read_commands(
	struct icd_command_buffer *cb, VkBuffer buffer, VkDeviceSize offset, uint32_t count, uint32_t stride, size_t size)
{
	icd_analyse_use(cb, &cb->graphics);
	if (count)
		icd_analyse_read(cb, ICD_FROM(icd_buffer, buffer), offset, (uint64_t)(count - 1) * stride + size);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdDrawIndirect(
	VkCommandBuffer handle, VkBuffer buffer, VkDeviceSize offset, uint32_t count, uint32_t stride)
{
	struct icd_command_buffer *cb = buffer_of(handle);
	read_commands(cb, buffer, offset, count, stride, sizeof(VkDrawIndirectCommand));
	wire_encode_vkCmdDrawIndirect(&cb->writer, buffer, offset, count, stride);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdDrawIndexedIndirect(
	VkCommandBuffer handle, VkBuffer buffer, VkDeviceSize offset, uint32_t count, uint32_t stride)
{
	struct icd_command_buffer *cb = buffer_of(handle);
	read_commands(cb, buffer, offset, count, stride, sizeof(VkDrawIndexedIndirectCommand));
	wire_encode_vkCmdDrawIndexedIndirect(&cb->writer, buffer, offset, count, stride);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdDrawIndirectCount(VkCommandBuffer handle, VkBuffer buffer, VkDeviceSize offset,
	VkBuffer count_buffer, VkDeviceSize count_offset, uint32_t most, uint32_t stride)
{
	struct icd_command_buffer *cb = buffer_of(handle);
	read_commands(cb, buffer, offset, most, stride, sizeof(VkDrawIndirectCommand));
	icd_analyse_read(cb, ICD_FROM(icd_buffer, count_buffer), count_offset, sizeof(uint32_t));
	wire_encode_vkCmdDrawIndirectCount(&cb->writer, buffer, offset, count_buffer, count_offset, most, stride);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdDrawIndexedIndirectCount(VkCommandBuffer handle, VkBuffer buffer, VkDeviceSize offset,
	VkBuffer count_buffer, VkDeviceSize count_offset, uint32_t most, uint32_t stride)
{
	struct icd_command_buffer *cb = buffer_of(handle);
	read_commands(cb, buffer, offset, most, stride, sizeof(VkDrawIndexedIndirectCommand));
	icd_analyse_read(cb, ICD_FROM(icd_buffer, count_buffer), count_offset, sizeof(uint32_t));
	wire_encode_vkCmdDrawIndexedIndirectCount(&cb->writer, buffer, offset, count_buffer, count_offset, most, stride);
}

/* Of attachments, which the pass has as written. */
VKAPI_ATTR void VKAPI_CALL icd_CmdClearAttachments(VkCommandBuffer handle, uint32_t count,
	const VkClearAttachment *attachments, uint32_t rect_count, const VkClearRect *rects)
{
	wire_encode_vkCmdClearAttachments(&buffer_of(handle)->writer, count, attachments, rect_count, rects);
}
