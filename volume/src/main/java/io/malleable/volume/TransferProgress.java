package io.malleable.volume;

/** Watches long work on data, and can end it. Called on the thread that does the work. */
public interface TransferProgress {
  /** For callers that neither watch nor cancel. */
  TransferProgress NONE =
      new TransferProgress() {
        @Override
        public void onProgress(long doneBytes, long totalBytes) {}

        @Override
        public boolean cancelled() {
          return false;
        }
      };

  /** At least once per second and per 64 MiB; never goes back. */
  void onProgress(long doneBytes, long totalBytes);

  /** Asked as often; when true, the work ends with {@code CANCELLED}. */
  boolean cancelled();
}
