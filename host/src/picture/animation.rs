//! Pictures one after the other, as an animated PNG: every browser shows it, in full colour, and what cannot shows the last picture.

use std::path::Path;

use image::RgbImage;
use png::{BitDepth, ColorType, Encoder};

use super::PictureError;
use crate::atomic_file;

/// How long a picture stands, in hundredths of a second.
const BETWEEN: u16 = 12;
/// How long the last one stands.
const AT_THE_END: u16 = 200;

/// Writes pictures of one size to `path`, shown for 0.12 s each and the last for 2 s, over and over.
///
/// # Errors
/// [`PictureError::Frames`] without a picture or for pictures of several sizes, and what the encoder or the file system says.
///
/// ```
/// # let path = std::env::temp_dir().join(format!("tweedie-doc-animation-{}.png", std::process::id()));
/// use image::RgbImage;
///
/// tweedie_host::picture::animation::write(&path, &[RgbImage::new(4, 4), RgbImage::new(4, 4)])?;
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write(path: &Path, frames: &[RgbImage]) -> Result<(), PictureError> {
    Ok(atomic_file::write(path, &encode(frames)?)?)
}

fn encode(frames: &[RgbImage]) -> Result<Vec<u8>, PictureError> {
    let [.., last] = frames else { return Err(PictureError::Frames) };
    let size = last.dimensions();
    if frames.iter().any(|frame| frame.dimensions() != size) {
        return Err(PictureError::Frames);
    }
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, size.0, size.1);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_animated(frames.len() as u32, 0)?;
    // The still picture is the last one, and no part of the animation.
    encoder.set_sep_def_img(true)?;
    let mut writer = encoder.write_header()?;
    writer.write_image_data(last)?;
    for (index, frame) in frames.iter().enumerate() {
        writer.set_frame_delay(if index + 1 == frames.len() { AT_THE_END } else { BETWEEN }, 100)?;
        writer.write_image_data(frame)?;
    }
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use png::Decoder;
    use std::io::Cursor;

    #[test]
    fn frames_come_back_in_their_order() {
        let frames: Vec<RgbImage> = (1..4).map(|i| RgbImage::from_pixel(3, 2, image::Rgb([i, 10 * i, 77]))).collect();
        let bytes = encode(&frames).unwrap();
        assert_eq!(image::load_from_memory(&bytes).unwrap().into_rgb8(), frames[2], "the still picture");
        let mut reader = Decoder::new(Cursor::new(&bytes)).read_info().unwrap();
        assert_eq!(reader.info().animation_control.unwrap().num_frames, 3);
        let mut buffer = vec![0; 3 * 2 * 3];
        reader.next_frame(&mut buffer).unwrap();
        for (index, frame) in frames.iter().enumerate() {
            reader.next_frame(&mut buffer).unwrap();
            assert_eq!(&buffer, frame.as_raw(), "frame {index}");
            let control = reader.info().frame_control.unwrap();
            assert_eq!((control.delay_num, control.delay_den), (if index == 2 { 200 } else { 12 }, 100));
        }
        assert_eq!(bytes, encode(&frames).unwrap());
    }

    #[test]
    fn what_makes_no_animation_is_refused() {
        assert!(matches!(encode(&[]), Err(PictureError::Frames)));
        assert!(matches!(encode(&[RgbImage::new(1, 2), RgbImage::new(2, 1)]), Err(PictureError::Frames)));
    }
}
