//! A model in one's own firmware: the README's program. Here the pixels go to a terminal.

use tweedie_core::artifact::words;
use tweedie_firmware::{Model, sample};

const BYTES: &[u8] = include_bytes!("digits.tweedie"); // cargo xtask export runs/digits -o digits.tweedie
static MODEL: [u32; BYTES.len() / 4] = words(BYTES); // aligned, stays in flash

fn draw_a_three(pixel: &mut impl FnMut(usize, usize, f32)) -> Result<(), Box<dyn core::error::Error>> {
    let model = Model::parse(&MODEL)?; // checks everything
    let mut scratch = [0; 256]; // words; model.scratch_words() says how many
    let digit = sample(&model, &mut scratch, 42, 0, Some(3), |_progress| {})?;
    for (i, value) in digit.iter().enumerate() {
        pixel(i % 8, i / 8, f32::from(*value)); // -1 black, 1 white
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn core::error::Error>> {
    draw_a_three(&mut |x, _, value| {
        print!(
            "{0}{0}",
            if value > 0.3 {
                '#'
            } else if value > -0.4 {
                '+'
            } else {
                ' '
            }
        );
        if x == 7 {
            println!();
        }
    })
}
