#include "checkpoint/gguf_writer.h"

#include "checkpoint/gguf_format.h"

namespace diptych::checkpoint {

namespace {

// Collects the part in front of the tensors.
class Header {
 public:
  template <class T>
  void put(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void put_raw(std::string_view text) { bytes_ += text; }
  void put_text(std::string_view text) {
    put<uint64_t>(text.size());
    put_raw(text);
  }
  void put_value(const GgufValue& value) {
    if (const auto* number = std::get_if<uint32_t>(&value)) {
      put(GgufKind::UInt32);
      put(*number);
    } else if (const auto* real = std::get_if<float>(&value)) {
      put(GgufKind::Float32);
      put(*real);
    } else if (const auto* flag = std::get_if<bool>(&value)) {
      put(GgufKind::Bool);
      put<uint8_t>(*flag ? 1 : 0);
    } else {
      put(GgufKind::Text);
      put_text(std::get<std::string>(value));
    }
  }
  void align() { bytes_.resize(align_up(bytes_.size(), kGgufAlignment)); }
  Bytes bytes() const { return as_bytes(bytes_); }

 private:
  std::string bytes_;
};

Result<uint32_t> type_id(DType dtype) {
  for (const GgufType& type : kGgufTypes) {
    if (type.plain == dtype) return type.id;
  }
  return invalid_argument("a GGUF file is written in fp32, fp16 or bf16, not {}", name(dtype));
}

}  // namespace

Status write_gguf(Sink& sink, std::span<const GgufEntry> metadata,
                  std::span<const NamedWeight> tensors, Progress& progress) {
  Header header;
  header.put_raw(kGgufMagic);
  header.put<uint32_t>(kGgufVersion);
  header.put<uint64_t>(tensors.size());
  header.put<uint64_t>(metadata.size());
  for (const auto& [key, value] : metadata) {
    header.put_text(key);
    header.put_value(value);
  }
  uint64_t position = 0, total = 0;
  for (const auto& [name, weight] : tensors) {
    header.put_text(name);
    header.put(static_cast<uint32_t>(weight->shape().size()));
    for (size_t axis = weight->shape().size(); axis-- > 0;) {
      header.put(static_cast<uint64_t>(weight->shape()[axis]));
    }
    header.put(TRY(type_id(weight->dtype())));
    header.put(position);
    const uint64_t size = TRY(packed_size(weight->type()));
    total += size;
    position += align_up(size, kGgufAlignment);
  }
  header.align();
  TRY(sink.write(header.bytes()));

  progress.begin("writing tensors", total);
  for (const auto& [name, weight] : tensors) {
    if (progress.cancelled()) return fail(ErrorCode::Cancelled, "interrupted");
    const SourceRef source = packed_source(weight);
    TRY(within(name, source->write_to(sink)));
    TRY(sink.write_zeros(align_up(source->size(), kGgufAlignment) - source->size()));
    progress.advance(source->size());
  }
  progress.finish();
  return {};
}

}  // namespace diptych::checkpoint
