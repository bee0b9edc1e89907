#include "tensor/views.h"

#include <algorithm>

#include "tensor/stored_blocks.h"

namespace diptych {

namespace {

class HeadShuffle : public Weight, public HasStoredBlocks {
 public:
  HeadShuffle(WeightRef source, int64_t head_dim, int64_t rotated, bool to_pairs)
      : Weight(source->type()),
        source_(std::move(source)),
        head_dim_(head_dim),
        rotated_(rotated),
        to_pairs_(to_pairs) {}

  std::optional<StoredBlocks> stored_blocks() const override {
    return stored_through(*source_, [&](const WeightRef& part) -> WeightRef {
      return std::make_shared<HeadShuffle>(part, head_dim_, rotated_, to_pairs_);
    });
  }

 protected:
  Status do_read_rows(int64_t first, int64_t count, MutableBytes out) const override {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t channel = (first + i) % head_dim_;
      TRY(source_->read_rows(first + i - channel + from(channel), 1,
                             out.subspan(static_cast<uint64_t>(i) * row_bytes(), row_bytes())));
    }
    return {};
  }

 private:
  // Which of the source's channels stands at a place within the head.
  int64_t from(int64_t channel) const {
    if (channel >= rotated_) return channel;
    const int64_t half = rotated_ / 2;
    if (to_pairs_) return channel / 2 + channel % 2 * half;
    return channel < half ? 2 * channel : 2 * (channel - half) + 1;
  }

  WeightRef source_;
  int64_t head_dim_, rotated_;
  bool to_pairs_;
};

class RowConcat : public Weight {
 public:
  RowConcat(TensorType type, std::vector<WeightRef> sources)
      : Weight(std::move(type)), sources_(std::move(sources)) {}

 protected:
  Status do_read_rows(int64_t first, int64_t count, MutableBytes out) const override {
    int64_t start = 0;  // of the source among all rows
    for (const WeightRef& source : sources_) {
      const int64_t begin = std::max(first, start);
      const int64_t end = std::min(first + count, start + source->rows());
      if (begin < end) {
        const uint64_t at = static_cast<uint64_t>(begin - first) * row_bytes();
        TRY(source->read_rows(begin - start, end - begin,
                              out.subspan(at, static_cast<uint64_t>(end - begin) * row_bytes())));
      }
      start += source->rows();
    }
    return {};
  }

 private:
  std::vector<WeightRef> sources_;
};

class ColumnConcat : public Weight {
 public:
  ColumnConcat(TensorType type, std::vector<WeightRef> sources)
      : Weight(std::move(type)), sources_(std::move(sources)) {}

 protected:
  Status do_read_rows(int64_t first, int64_t count, MutableBytes out) const override {
    uint64_t column = 0;  // in bytes
    std::vector<std::byte> rows;
    for (const WeightRef& source : sources_) {
      const uint64_t width = source->row_bytes();
      rows.resize(static_cast<uint64_t>(count) * width);
      TRY(source->read_rows(first, count, rows));
      for (uint64_t row = 0; row < static_cast<uint64_t>(count); ++row) {
        std::copy_n(rows.data() + row * width, width, out.data() + row * row_bytes() + column);
      }
      column += width;
    }
    return {};
  }

 private:
  std::vector<WeightRef> sources_;
};

}  // namespace

WeightRef halves_to_pairs(WeightRef source, int64_t head_dim, int64_t rotated) {
  return std::make_shared<HeadShuffle>(std::move(source), head_dim, rotated, true);
}

WeightRef pairs_to_halves(WeightRef source, int64_t head_dim, int64_t rotated) {
  return std::make_shared<HeadShuffle>(std::move(source), head_dim, rotated, false);
}

WeightRef concat_rows(std::vector<WeightRef> sources) {
  TensorType type = sources.front()->type();
  type.shape.at(0) = 0;
  for (const WeightRef& source : sources) type.shape[0] += source->rows();
  return std::make_shared<RowConcat>(std::move(type), std::move(sources));
}

WeightRef concat_columns(std::vector<WeightRef> sources) {
  TensorType type = sources.front()->type();
  type.shape.at(1) = 0;
  for (const WeightRef& source : sources) type.shape[1] += source->shape()[1];
  return std::make_shared<ColumnConcat>(std::move(type), std::move(sources));
}

}  // namespace diptych
