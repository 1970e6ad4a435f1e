package io.malleable.control;

import io.malleable.volume.TransferProgress;

/** Shows a step's progress in the operation, and ends its work when the operation is aborted. */
record StepProgress(Run run) implements TransferProgress {
  @Override
  public void onProgress(long doneBytes, long totalBytes) {
    run.progress(totalBytes == 0 ? 1 : (double) doneBytes / totalBytes);
  }

  @Override
  public boolean cancelled() {
    return run.isCancelled();
  }
}
