// What a failure means to the person before the screen, and what to do about it.

const known = {
  not_a_video: ['This is not a video', 'Choose a video file: MP4, MOV, WebM, MKV, AVI and most other formats are taken.'],
  malformed: ['The file is damaged', 'It may be cut off or half copied. Check that it plays on your computer, or export it again, then upload that.'],
  unsupported_codec: ['This kind of video is not supported', 'Export it as MP4 with H.264, which plays everywhere, and upload that.'],
  no_video_track: ['There is no picture in this file', 'It seems to hold sound only. Choose a file with a picture.'],
  encrypted: ['This file is copy-protected', 'Only files without copy protection can be taken. Ask its publisher for one.'],
  too_large: ['This file is too large', 'Export it with a lower bit rate, or in parts.'],
  too_long: ['This video is too long', 'Cut it into parts and upload those.'],
  resolution_too_high: ['The picture is too large', 'Export it at 4K or less.'],
  fetch_failed: ['The file could not be fetched', 'Check that its address is right and can be reached, then try again.'],
};

const unknown = ['Something went wrong here', 'The file may be fine. Try again; if that does not help, the server’s log says more.'];

/** failure explains an error of a video: {title, advice, detail, again}; again says whether trying again can help. */
export function failure(error) {
  const [title, advice] = known[error?.code] || unknown;
  return {title, advice, detail: error?.detail || '', again: !known[error?.code]};
}
