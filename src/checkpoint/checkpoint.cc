#include "checkpoint/checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/file.h"
#include "checkpoint/directory.h"
#include "checkpoint/gguf_reader.h"
#include "checkpoint/model_parallel.h"
#include "checkpoint/safetensors_reader.h"
#include "checkpoint/torch_reader.h"

namespace diptych::checkpoint {

namespace {

// A file that somebody may well pass here, told by bytes at a fixed offset.
struct OtherFormat {
  uint64_t offset;
  std::string_view magic;
  std::string_view text;
};
using namespace std::string_view_literals;
constexpr OtherFormat kOtherFormats[] = {
    {0, "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."sv,
     "a torch file in the format before torch 1.6; load and save it once more with a current "
     "torch"},
    {257, "ustar"sv, "a tar archive; unpack it first"},
    {4, "ET12"sv, "an ExecuTorch program, not a checkpoint"},
    {0, "\x1f\x8b"sv, "gzip-compressed; unpack it first"},
    {0, "<"sv, "an HTML or XML page; the download went wrong"},
    {0, "{"sv,
     "JSON text, not a checkpoint; name the model's directory (or are checkpoint and params "
     "swapped?)"},
    {0, "\x80"sv, "a bare pickle; save the state dict with torch.save of torch 1.6 or later"},
};

}  // namespace

WeightRef Checkpoint::find(std::string_view name) const {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const NamedWeight& tensor) { return tensor.first == name; });
  return found == tensors.end() ? nullptr : found->second;
}

Result<Checkpoint> open(Bytes bytes, std::shared_ptr<const void> owner, std::string source) {
  Result<Checkpoint> checkpoint = [&]() -> Result<Checkpoint> {
    if (bytes.empty()) return invalid_data("the file is empty, expected a checkpoint");
    if (is_torch_archive(bytes)) return read_torch(bytes, std::move(owner));
    if (is_gguf(bytes)) return read_gguf(bytes, std::move(owner));
    if (is_safetensors(bytes)) return read_safetensors(bytes, std::move(owner));
    for (const OtherFormat& format : kOtherFormats) {
      if (range_fits(format.offset, format.magic.size(), bytes.size()) &&
          as_text(bytes.subspan(format.offset, format.magic.size())) == format.magic) {
        return unsupported("the file is {}", format.text);
      }
    }
    return invalid_data(
        "not a checkpoint: expected a torch file (starts with \"PK\"), a safetensors file (a "
        "length "
        "and \"{{\") or a GGUF file (\"GGUF\")");
  }();
  if (!checkpoint) return within(source, std::move(checkpoint));
  checkpoint->source = std::move(source);
  return checkpoint;
}

Result<Checkpoint> open(const std::string& path, Config config) {
  if (is_directory(path)) return open_directory(path, config);
  std::vector<Checkpoint> parts;
  for (const std::string& part : parts_of(path)) parts.push_back(TRY(open_file(part)));
  Checkpoint checkpoint = TRY(within(path, join_parts(std::move(parts))));
  if (config == Config::Beside) {
    TRY(read_config_beside(&checkpoint, std::filesystem::path(path).parent_path().string()));
  }
  return checkpoint;
}

Result<Checkpoint> open_file(const std::string& path) {
  const auto file = TRY(MappedFile::open(path));
  Checkpoint checkpoint = TRY(open(file->bytes(), file, path));
  // Tensors are read once, in passes over the file. A tensor with two names stays one weight.
  std::map<const Weight*, WeightRef> streamed;
  for (auto& [name, weight] : checkpoint.tensors) {
    WeightRef& wrapped = streamed[weight.get()];
    if (!wrapped) wrapped = streamed_weight(weight, file);
    weight = wrapped;
  }
  return checkpoint;
}

}  // namespace diptych::checkpoint
