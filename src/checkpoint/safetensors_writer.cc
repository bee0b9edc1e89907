#include "checkpoint/safetensors_writer.h"

#include "base/in_quotes.h"
#include "base/json.h"

namespace diptych::checkpoint {

namespace {

Result<std::string_view> stored_name(DType dtype) {
  if (dtype == DType::F32) return "F32";
  if (dtype == DType::F16) return "F16";
  if (dtype == DType::BF16) return "BF16";
  return invalid_argument("a safetensors file is written in fp32, fp16 or bf16, not {}",
                          name(dtype));
}

}  // namespace

Status write_safetensors(Sink& sink, std::span<const NamedWeight> tensors, Progress& progress) {
  Json header = {{"__metadata__", {{"format", "pt"}}}};
  uint64_t position = 0;
  for (const auto& [name, weight] : tensors) {
    if (header.contains(name)) return invalid_argument("two tensors {}", in_quotes(name));
    const uint64_t end = position + TRY(packed_size(weight->type()));
    const auto dtype = TRY(stored_name(weight->dtype()));
    header[name] = {
        {"dtype", dtype}, {"shape", weight->shape()}, {"data_offsets", {position, end}}};
    position = end;
  }
  std::string text = dump_json(header);
  text.resize(align_up(text.size(), 8), ' ');
  const uint64_t length = text.size();
  progress.begin("writing tensors", position);
  TRY(sink.write(std::as_bytes(std::span(&length, 1))));
  TRY(sink.write(as_bytes(text)));
  for (const auto& [name, weight] : tensors) {
    if (progress.cancelled()) return fail(ErrorCode::Cancelled, "interrupted");
    const SourceRef source = packed_source(weight);
    TRY(within(name, source->write_to(sink)));
    progress.advance(source->size());
  }
  progress.finish();
  return {};
}

Json shard_index(std::span<const std::pair<std::string, std::string>> files, uint64_t total_bytes) {
  Json map = Json::object();
  for (const auto& [tensor, file] : files) map[tensor] = file;
  return {{"metadata", {{"total_size", total_bytes}}}, {"weight_map", std::move(map)}};
}

}  // namespace diptych::checkpoint
